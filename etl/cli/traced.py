"""Errors caused by edited rows of the warehouse, traced to the table and the row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from etl.cli.state import State
from etl.errors import IntegrityBroken, Stopped, UnreadableValue, VnsyncError

KNOWN = (VnsyncError, OSError, MemoryError, click.ClickException, click.Abort, click.exceptions.Exit)
"""Errors whose own text states the cause."""


@contextlib.contextmanager
def traced(state: State) -> Iterator[None]:
    """Context that raises `IntegrityBroken` with table and row if the command's warehouse fails verification.

    Only after an unreadable value or an error of no known kind: a row that was edited by hand can cause any of them.
    It reads the whole warehouse once. If that finds no problem, the error is raised as it is: it is a bug.
    """
    try:
        yield
    except UnreadableValue as error:
        raise _broken(state) or error from error
    except KNOWN:
        raise
    except Exception as error:
        if (broken := _broken(state)) is None:
            raise
        broken.run_id = getattr(error, "run_id", None)
        raise broken from error


def _broken(state: State) -> IntegrityBroken | None:
    """The first problem that `verify` finds, preferably one with a table; None if it finds none, or fails itself."""
    from etl.report.evidence import problem_line
    from etl.verify.warehouse import verify_warehouse

    if state.warehouse is None:
        return None
    try:
        problems = verify_warehouse(state.warehouse, [], lambda _: None).problems
    except Stopped:
        raise
    except Exception:  # noqa: BLE001 - the original error is raised instead
        return None
    if not problems:
        return None
    first = next((problem for problem in problems if problem.table), problems[0])
    remedy = "Restore a backup from before the edit; `vnsync verify` lists all problems"
    return IntegrityBroken(f"the warehouse was edited by hand: {problem_line(first)}", remedy=remedy)
