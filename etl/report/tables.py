"""Tables: drawn by rich on a terminal, aligned plain text elsewhere. Every cell is treated as untrusted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from etl.report.wording import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

Cell = str | int | None
STYLES = {
    "succeeded": "green",
    "ok": "green",
    "held": "yellow",
    "partial": "yellow",
    "warn": "yellow",
    "stale": "yellow",
    "failed": "red",
    "fail": "red",
    "never": "red",
}
"""Words that show in a colour of their own, on a terminal."""
SHORT = 20
"""Columns no wider than this are never folded, on a terminal."""
_GAP = re.compile(r"(?<=\s)\s")


@dataclass(frozen=True)
class Table:
    """A table to show. Columns whose name is in `right` hold figures; the last column takes long text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    right: frozenset[str] = field(default_factory=frozenset)
    title: str | None = None

    def cells(self) -> list[list[str]]:
        """Every cell as text that is safe to print; a missing value is a dash.

        Two blanks separate columns, so no cell holds two: a name cannot pass for several cells.
        """
        return [["-" if c is None else _one_cell(printable(str(c))) for c in row] for row in self.rows]


def _one_cell(text: str) -> str:
    return _GAP.sub(lambda blank: f"\\x{ord(blank[0]):02x}", text)


def show(table: Table, stream: TextIO | None) -> None:
    """Write the table to the stream; does nothing when the stream is closed (None)."""
    if stream is None:
        return
    title = f"\n{table.title}" if table.title else None
    if is_terminal(stream):
        out = console(stream)
        if title:
            out.print(title, style="bold")
        out.print(drawn(table))
    else:
        stream.write(f"{title}\n" if title else "")
        stream.write(aligned(table))


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at the stream."""
    return stream is not None and stream.isatty()


def console(stream: TextIO) -> Console:
    """A rich console on the stream that interprets nothing in what it is given."""
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def drawn(table: Table) -> RichTable:
    """The table for a terminal."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    out = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    cells = table.cells()
    for i, name in enumerate(table.columns):
        figures = name in table.right
        short = all(_width(row[i]) <= SHORT for row in cells)
        out.add_column(Text(name), justify="right" if figures else "left", no_wrap=short, overflow="fold")
    for row in cells:
        out.add_row(*(Text(c, style=STYLES.get(c, "")) for c in row))
    return out


def aligned(table: Table) -> str:
    """The table as plain lines: columns padded with blanks, nothing cut off, no trailing blanks."""
    body = [list(table.columns), *table.cells()]
    widths = [max(_width(row[i]) for row in body) for i in range(len(table.columns))]
    right = [name in table.right for name in table.columns]
    lines = [_line(row, widths, right) for row in body]
    return "\n".join(lines) + "\n"


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    return "  ".join(_padded(c, w, r) for c, w, r in zip(row, widths, right, strict=True)).rstrip()


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if right else text + blanks


def _width(text: str) -> int:
    """How many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
