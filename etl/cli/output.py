"""Results on stdout: JSON for machines, text for people. A key that the source sends back is not shown either."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from etl.cli.state import current_state

if TYPE_CHECKING:
    from etl.report.tables import Table

CERTAIN = 16
"""Secrets of so many characters are masked in results; a shorter one may be part of what was asked for."""


def json_text(value: Any) -> str:
    """A value as JSON on one line."""
    from etl.report.values import as_json, plain, with_strings

    return as_json(with_strings(plain(value), hide))


def write_json(value: Any) -> None:
    """One JSON object on one line of stdout, flushed, so that a reader sees it at once."""
    click.echo(json_text(value))
    if sys.stdout is not None:
        sys.stdout.flush()


def write_table(table: Table) -> None:
    """A table on stdout: drawn on a terminal, plain elsewhere."""
    from dataclasses import replace

    from etl.report.tables import show
    from etl.report.values import with_strings

    show(replace(table, rows=[with_strings(list(row), hide) for row in table.rows]), sys.stdout)


def write_line(text: str) -> None:
    """A sentence on stdout. Control characters are escaped, wherever stdout goes: it is for people."""
    from etl.report.wording import harmless

    write_text(f"{harmless(text)}\n")


def write_text(text: str) -> None:
    """A part of a line on stdout, or more than one: of a result that is written as it is read.

    Control characters of data are kept for programs, and escaped on a terminal.
    """
    from etl.report.tables import is_terminal
    from etl.report.wording import harmless

    if sys.stdout is not None:
        sys.stdout.write(harmless(hide(text)) if is_terminal(sys.stdout) else hide(text))


def hide(text: str) -> str:
    """The text of a result without the secrets that are certain to be none of its words."""
    return current_state().redacted(text, shortest=CERTAIN)
