"""CSV that keeps null and empty text apart, and that no spreadsheet takes for formulas. All of it can be undone.

RFC 4180 with line feeds: null is an empty field, text is always in quotes (so empty text is ""), whole numbers and
true/false are not. Where a spreadsheet could begin a cell with a formula, an apostrophe stands before it: at the
beginning of a text, and after each semicolon, tab or line end in it (for in some countries these separate cells). It is
added wherever what follows is, after blanks and quotes, one of = + - @ (or their wide forms), a tab or a line end, or
is an apostrophe itself; so the original is the text without one apostrophe at each of these places: `original`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

RULE = (
    "UTF-8, RFC 4180 with line feeds; null is an empty field, empty text is two quotes; text is always quoted. "
    "Against formulas: remove one apostrophe at the beginning of a text, and after each ; tab, CR or LF in it"
)
_CELL = "(^|[;\t\r\n])"
_DANGEROUS = re.compile(_CELL + "(?=[ \u00a0\"]*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]|')")
_ADDED = re.compile(_CELL + "'")
Cell = str | int | bool | None


def line(values: Iterable[Cell]) -> str:
    """One line, with its end."""
    return ",".join([_field(value) for value in values]) + "\n"


def _field(value: Cell) -> str:
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{harmless(value)}"'


def harmless(text: str) -> str:
    """The text inside the quotes: nothing in it begins a formula, and quotes are doubled."""
    return _DANGEROUS.sub(r"\1'", text).replace('"', '""')


def original(text: str) -> str:
    """The text that a CSV reader gives, without the apostrophes that were added."""
    return _ADDED.sub(r"\1", text)
