"""Errors that edited rows of the warehouse cause, traced to the table and the row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from etl.cli.state import State
from etl.errors import IntegrityBroken, Stopped, UnreadableValue, VnsyncError

KNOWN = (VnsyncError, OSError, MemoryError, click.ClickException, click.Abort, click.exceptions.Exit)
"""Errors that say by themselves what is wrong."""


@contextlib.contextmanager
def traced(state: State) -> Iterator[None]:
    """Raise `IntegrityBroken` with table and row where the command's warehouse does not verify.

    Only for an unreadable value, or an error of no known kind: a row that was edited by hand can lead to any of them.
    The warehouse is read once for it. The error of a sound warehouse stays as it is: a bug.
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
    """What `verify` finds first in the warehouse, in a table if it can; None when it finds nothing, or fails itself."""
    from etl.report.evidence import problem_line
    from etl.verify.warehouse import verify_warehouse

    if state.warehouse is None:
        return None
    try:
        problems = verify_warehouse(state.warehouse, [], lambda _: None).problems
    except Stopped:
        raise
    except Exception:  # noqa: BLE001 - the error that led here is told instead
        return None
    if not problems:
        return None
    first = next((problem for problem in problems if problem.table), problems[0])
    remedy = "Restore a backup from before the edit; `vnsync verify` lists all that does not fit"
    return IntegrityBroken(f"the warehouse was edited by hand: {problem_line(first)}", remedy=remedy)
