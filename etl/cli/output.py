"""Results on stdout: JSON for programs, text for people. Secrets are masked, also where the source sent them back."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from etl.cli.state import State, current_state

if TYPE_CHECKING:
    from etl.errors import VnsyncError
    from etl.report.terminal.tables import Table

CERTAIN = 16
"""Least length of the secrets that are masked in results: a shorter one may also be a part of the data."""


def json_text(value: Any) -> str:
    """A value as JSON on one line."""
    from etl.report.values import as_json

    return as_json(_shown(value, current_state()))


def write_json(value: Any) -> None:
    """Keep the value as the command's one JSON object; it is printed when the command ends, with its error if any."""
    state = current_state()
    state.result = _shown(value, state)


def write_json_now(value: Any) -> None:
    """Write one JSON object on one line of stdout, and flush it, so that a reader gets it at once."""
    write_text(f"{json_text(value)}\n")
    current_state().streamed = True
    flush()


def flush() -> None:
    """Send what was written to its reader at once."""
    if sys.stdout is not None:
        sys.stdout.flush()


def end_json(state: State, error: VnsyncError | None = None) -> None:
    """Print the JSON object of a command that has ended; `error`: the error that ended it, None if there was none.

    A command that failed before it had a result prints the error alone.
    """
    from etl.report.errors import facts
    from etl.report.values import as_json

    if state.output != "json" or state.streamed or sys.stdout is None or (error is None and state.result is None):
        return
    failure = {} if error is None else {"error": _shown(facts(error), state)}
    sys.stdout.write(as_json({**(state.result or {}), **failure}) + "\n")
    sys.stdout.flush()


def _shown(value: Any, state: State) -> Any:
    """The value as plain data, without secrets."""
    from etl.report.values import plain, with_strings

    return with_strings(plain(value), lambda text: state.redacted(text, shortest=CERTAIN))


def write_table(table: Table) -> None:
    """Write a table to stdout: drawn on a terminal, plain elsewhere."""
    from dataclasses import replace

    from etl.report.terminal.tables import show
    from etl.report.values import with_strings

    show(replace(table, rows=[with_strings(list(row), hide) for row in table.rows]), sys.stdout)


def write_line(text: str) -> None:
    """Write a line for people to stdout, folded between words on a terminal.

    Control characters are escaped, wherever stdout goes.
    """
    from etl.report.terminal.tables import console, is_terminal
    from etl.report.wording import harmless

    text = hide(harmless(text))
    if sys.stdout is not None and is_terminal(sys.stdout):
        from etl.report.terminal.paragraphs import folded

        text = folded(text, console(sys.stdout).width)
    write_text(f"{text}\n")


def write_text(text: str) -> None:
    """Write a piece of text to stdout, any number of lines: a result that is written while it is read.

    Control characters in data are kept for programs, and escaped on a terminal.
    """
    from etl.report.terminal.tables import is_terminal
    from etl.report.wording import harmless

    if sys.stdout is not None:
        sys.stdout.write(harmless(hide(text)) if is_terminal(sys.stdout) else hide(text))


def write_utf8(text: str) -> None:
    """Write a piece of text to stdout in UTF-8, whatever the encoding of the locale: a format that knows no other."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    write_text(text)


def hide(text: str) -> str:
    """The text of a result without the secrets that are too long to be a word of it (`CERTAIN`)."""
    return current_state().redacted(text, shortest=CERTAIN)
