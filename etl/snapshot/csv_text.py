"""CSV format that distinguishes null from empty text and has no spreadsheet formulas. The encoding is reversible.

RFC 4180 with line feeds: null is an empty field; text is always quoted (so empty text is ""); whole numbers and
true/false are not quoted. An apostrophe is added where a spreadsheet could find a formula: at the beginning of a text,
and after each semicolon, tab or line end in it (which separate cells in some countries). It is added if the next
character, after blanks and quotes, is one of = + - @ (or their wide forms), a tab or a line end, or if the next
character is an apostrophe. So the original is the text without one apostrophe at each of these places: `original`.
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
    """One CSV line, with its line feed."""
    return ",".join([_field(value) for value in values]) + "\n"


def _field(value: Cell) -> str:
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{harmless(value)}"'


def harmless(text: str) -> str:
    """Content of a quoted field: no formula can begin in it, and quotes are doubled."""
    return _DANGEROUS.sub(r"\1'", text).replace('"', '""')


def original(text: str) -> str:
    """Original of a text that a CSV reader returned: the added apostrophes are removed."""
    return _ADDED.sub(r"\1", text)
