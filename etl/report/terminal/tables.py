"""Tables: drawn by rich on a terminal, aligned plain text elsewhere. Every cell is treated as untrusted.

Figures, instants and ids are never cut or folded: if the columns do not fit on a terminal, each row becomes a block of
lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
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
"""Colours of words on a terminal."""
SHORT = 20
"""Width up to which a column is never folded on a terminal."""
NARROWEST = 24
"""Least width of a column of longer text on a terminal; a narrower one would have one word a line."""
GAP = 2
"""Blanks between two columns."""
_GAP = re.compile(r"(?<=\s)\s")


@dataclass(frozen=True)
class Table:
    """A table to show. Columns whose name is in `right` hold figures; the last column may have long text.

    `once`: columns whose value is shown only in the first of consecutive rows that share it, in that order; `apart`:
    whether an empty line precedes the title.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    right: frozenset[str] = field(default_factory=frozenset)
    title: str | None = None
    once: Sequence[str] = ()
    apart: bool = True

    def cells(self) -> list[list[str]]:
        """Every cell as text that is safe to print; a missing value is a dash.

        Two blanks separate columns, so a second blank within a cell is escaped: a name cannot look like two cells.
        """
        return [["-" if c is None else _one_cell(printable(str(c))) for c in row] for row in self.rows]

    def lines(self) -> list[list[str]]:
        """The cells as the lines of the table: a cell of a column in `once` is empty if it repeats the row above."""
        before: list[str] | None = None
        out = []
        for cells in self.cells():
            shown = list(cells)
            for name in self.once if before else ():
                column = self.columns.index(name)
                if before is None or cells[column] != before[column]:
                    break
                shown[column] = ""
            out.append(shown)
            before = cells
        return out

    @property
    def heading(self) -> str | None:
        """The title as it is printed."""
        return None if self.title is None else f"\n{self.title}" if self.apart else self.title


def _one_cell(text: str) -> str:
    return _GAP.sub(lambda blank: f"\\x{ord(blank[0]):02x}", text)


def show(table: Table, stream: TextIO | None) -> None:
    """Write the table to the stream; does nothing when the stream is closed (None)."""
    if stream is None:
        return
    if is_terminal(stream):
        _draw(table, console(stream))
    else:
        stream.write(f"{table.heading}\n" if table.heading else "")
        stream.write(aligned(table))


def is_terminal(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal; False for None."""
    return stream is not None and stream.isatty()


def console(stream: TextIO) -> Console:
    """A rich console on the stream that interprets no markup in its text."""
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


# -- on a terminal


def _draw(table: Table, out: Console) -> None:
    if table.heading:
        out.print(table.heading, style="bold")
    widths = fitting(table, out.width)
    if widths is None:
        _draw_blocks(table, out)
    else:
        out.print(_drawn(table, widths))


def fitting(table: Table, room: int) -> list[int] | None:
    """Width of each column if all fit into `room` cells of a terminal; None if they do not.

    Columns of longer text may be folded between words, the others may not.
    """
    body = [list(table.columns), *table.cells()]
    columns = [[row[i] for row in body] for i in range(len(table.columns))]
    natural = [max(map(width_of, column)) for column in columns]
    least = [_least(column, natural[i]) for i, column in enumerate(columns)]
    spare = room - GAP * (len(columns) - 1) - sum(least)
    if spare < 0:
        return None
    widths = []
    for whole, folded in zip(natural, least, strict=True):
        more = min(spare, whole - folded)
        widths.append(folded + more)
        spare -= more
    return widths


def _least(column: Sequence[str], natural: int) -> int:
    """Least width of a column: that of its longest word, and at least `NARROWEST` for longer text."""
    if natural <= SHORT:
        return natural
    words = max((width_of(word) for cell in column for word in cell.split()), default=0)
    return max(words, min(natural, NARROWEST))


def _drawn(table: Table, widths: Sequence[int]) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    out = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for name, width in zip(table.columns, widths, strict=True):
        out.add_column(Text(name), justify="right" if name in table.right else "left", width=width, overflow="fold")
    for row in table.lines():
        out.add_row(*(Text(c, style=STYLES.get(c, "")) for c in row))
    return out


def _draw_blocks(table: Table, out: Console) -> None:
    """Print each row as lines of a column's name and its cell, and an empty line; empty cells are left out."""
    from rich.text import Text

    label = max(map(width_of, table.columns)) + GAP
    for row in table.cells():
        for name, cell in zip(table.columns, row, strict=True):
            if cell in ("", "-"):
                continue
            value = Text(cell, style=STYLES.get(cell, ""))
            if _folds(cell, out.width - label):
                lines = value.wrap(out, out.width - label)
                for i, line in enumerate(lines):
                    out.print(Text.assemble((f"{'' if i else name:<{label}}", "bold"), line), soft_wrap=True)
            else:  # a word longer than the line is not split, so that it can be copied
                out.print(Text(name, style="bold"))
                out.print(value, soft_wrap=True)
        out.print()


def _folds(cell: str, room: int) -> bool:
    return max(map(width_of, cell.split()), default=0) <= room


# -- elsewhere


def aligned(table: Table) -> str:
    """The table as plain lines: columns padded with blanks, no cell cut off, no trailing blanks."""
    body = [list(table.columns), *table.lines()]
    widths = [max(width_of(row[i]) for row in body) for i in range(len(table.columns))]
    right = [name in table.right for name in table.columns]
    return "\n".join(_aligned_lines(body, widths, right)) + "\n"


def _aligned_lines(body: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    for row in body:
        yield (" " * GAP).join(_padded(c, w, r) for c, w, r in zip(row, widths, right, strict=True)).rstrip()


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - width_of(text))
    return blanks + text if right else text + blanks


def width_of(text: str) -> int:
    """Width of the text in cells of a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
