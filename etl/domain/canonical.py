"""Canonical text of values: the text that the chain hashes, the same for either database.

It is the text format of PostgreSQL's COPY, which PostgreSQL writes by itself: fields separated by tabs, null as `\\N`,
and in text an escape for the backslash and for the control characters that have a letter. JSON is written as
PostgreSQL's JSONB writes it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from etl.domain import decimals

NULL = "\\N"
ESCAPES = {"\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r"}
"""Escape of each such character in a text field."""

_TO_ESCAPE = re.compile(r"[\\\x08-\x0d]")
_TABLE = str.maketrans(ESCAPES)
_BACK = {escape: character for character, escape in ESCAPES.items()}
_ESCAPE = re.compile("|".join(map(re.escape, _BACK)))


def field(value: Any) -> str:
    """A value as a field of a line: `\\N` for None, t and f for booleans, escaped text, numbers in decimal."""
    if value is None:
        return NULL
    if value is True or value is False:
        return "t" if value else "f"
    text = value if isinstance(value, str) else str(value)
    return text.translate(_TABLE) if _TO_ESCAPE.search(text) else text


def value(text: str) -> str | None:
    """The text that a field represents; None for null."""
    if "\\" not in text:
        return text
    return None if text == NULL else _ESCAPE.sub(lambda m: _BACK[m.group()], text)


def text_of(raw: bytes) -> str:
    """Text of stored bytes. Bytes that are not UTF-8 become lone surrogates; `bytes_of` reverses that."""
    return raw.decode(errors="surrogateescape")


def bytes_of(text: str) -> bytes:
    """Bytes of a text in UTF-8; the inverse of `text_of`."""
    return text.encode(errors="surrogateescape")


def digest_of_fields(*values: Any) -> str:
    """The SHA-256, in hex, of the line of these values."""
    return hashlib.sha256(line_of_fields(*values).encode()).hexdigest()


def named_field(name: str, text: str) -> str:
    """The field of a column that a later release added, which is not null."""
    return f"{name}={text}"


def line_of_fields(*values: Any) -> str:
    """The line of these values, without a line end."""
    return "\t".join(_fields(values))


def plain(text: str) -> bool:
    """Whether nothing in the text has to be escaped. One search per character is much faster in a long text."""
    return not any(character in text for character in ESCAPES)


def _fields(values: tuple[Any, ...]) -> Iterable[str]:
    """The fields of these values; in one step if all are text without anything to escape, which is usual."""
    try:
        as_they_are = plain("".join([v for v in values if v is not None]))
    except TypeError:  # not all are text
        as_they_are = False
    return [NULL if v is None else v for v in values] if as_they_are else map(field, values)


def json_text(text: str | None) -> str | None:
    """JSON as JSONB writes it: `{"b": 1, "aa": [1.5, null]}`, shorter names first, numbers without exponent.

    Text that is not JSON is returned unchanged: only SQLite can hold it, after an edit by hand.
    """
    return _rewritten(text, decimals.plain_notation)


def comparable(text: str | None) -> str | None:
    """JSON as text that is the same for equal values: 1.10 and 1.1 are equal, as in JSONB."""
    return _rewritten(text, decimals.shortest_notation)


def _rewritten(text: str | None, number: Callable[[str], str]) -> str | None:
    if text is None:
        return None

    def read(sent: str) -> _Number:
        return _Number(number(sent))

    try:
        return _written(json.loads(text, parse_int=read, parse_float=read, parse_constant=_refused))
    except (ValueError, ArithmeticError, RecursionError, TypeError):
        return text


class _Number(str):
    """A number as it is to be written."""

    __slots__ = ()


def _refused(constant: str) -> Any:
    raise ValueError(constant)


def _written(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        names = sorted(value, key=_name_order)
        return "{" + ", ".join(f"{_written(name)}: {_written(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _name_order(name: str) -> tuple[int, bytes]:
    encoded = name.encode()
    return len(encoded), encoded
