"""Bounds of what the source may send. They are checked before decoding, because objects take far more memory than text.

Values are counted by commas and brackets. A value is an element of an array or a member of an object, at any depth.
"""

from __future__ import annotations

import re

MOST_VALUES = 100_000
"""Most values of one record. A usual record has some 30."""
LARGEST_RECORD = 16 * 2**20
"""Most bytes of one record. A usual record has some 700."""
MOST_OF_ANSWER = 1_000_000
"""Most values of an answer: 10 000 usual records have some 300 000."""
UNCOUNTED = 8 * 2**20
"""Most bytes of an answer whose values need not be counted, because too many do not fit into it. Ordinary answers, with
10 000 records in some 7 MB, therefore cost nothing."""

LARGEST_TEXT = 64 * 2**20
"""Most bytes that the texts of an answer's records may take in memory: they are copied a few times until stored."""
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB]")

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A string. The last one may lack its end, because the text has not been decoded yet."""
_SEPARATORS = (b",", b"[", b"{")
_EMPTY = (b"[]", b"{}")


def has_more_values(text: bytes, most: int) -> bool:
    """Whether JSON has more than `most` values. Stops as soon as that is certain, and looks into strings last."""
    if len(text) <= most or _separators(text, 0, len(text)) <= most:
        return False
    found = at = 0
    for string in _STRING.finditer(text):
        found += _values(text, at, string.start())
        if found > most:
            return True
        at = string.end()
    return found + _values(text, at, len(text)) > most


def _separators(text: bytes, begin: int, end: int) -> int:
    """Count of separators, those inside strings included. There are at least as many as values."""
    return sum(text.count(mark, begin, end) for mark in _SEPARATORS)


def _values(text: bytes, begin: int, end: int) -> int:
    """Values between two strings: one after each comma, and the first of each array and object that is not empty."""
    if begin >= end:
        return 0
    return _separators(text, begin, end) - sum(text.count(pair, begin, end) for pair in _EMPTY)


def excess(record: bytes) -> str | None:
    """Reason why a record is too large to be read; None if it is not."""
    if len(record) > LARGEST_RECORD:
        return f"the record has more than {LARGEST_RECORD} bytes"
    return f"the record holds more than {MOST_VALUES} values" if has_more_values(record, MOST_VALUES) else None


def text_size(record: bytes) -> int:
    """Most bytes that the texts of a record take in memory: Python stores each character as wide as the widest one.

    0 for a record that is too large to be read.
    """
    if len(record) > LARGEST_RECORD:
        return 0
    if record.isascii() and b"\\u" not in record:
        return len(record)
    return len(record) * (4 if _BEYOND_BMP.search(record) else 2)
