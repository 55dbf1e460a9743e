"""Spans of values in JSON text, found by quotes and brackets alone.

Nothing is decoded, so the text may contain things that decoders refuse: half a surrogate pair, bytes that are not
UTF-8, numbers beyond any float, repeated names. The cost grows with the count of brackets and quotes, not with depth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_SPACE = re.compile(rb"[ \t\n\r]*+")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb'[^\s",:\[\]{}]++')
_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+([\[\]{}])', re.DOTALL)
_OPENING = frozenset(b"[{")
DEEPEST = 64
"""Most levels of arrays and objects in one record. JSON functions of databases fail at a few hundred."""


class NotJson(ValueError):
    """Error for text whose quotes and brackets do not form JSON."""


class Span(NamedTuple):
    """Half-open range of bytes."""

    begin: int
    end: int


class Member(NamedTuple):
    """Member of an object: its decoded name and the span of its value."""

    name: str
    begin: int
    end: int


def skip_space(text: bytes, at: int) -> int:
    """Index of the first byte at or after `at` that is not white space."""
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it also matches nothing


def value_end(text: bytes, begin: int) -> int:
    """End of the value that begins at `begin`. Raises `NotJson` if it has none."""
    first = text[begin : begin + 1]
    if first in (b"{", b"["):
        return _nested_end(text, begin)
    found = (_STRING if first == b'"' else _SCALAR).match(text, begin)
    if found is None:
        raise NotJson(f"no value at byte {begin}")
    return found.end()


def _nested_end(text: bytes, begin: int) -> int:
    for at, level in _brackets(text, begin):
        if level == 0:
            return at
    raise NotJson(f"the bracket at byte {begin} has no end")


def _brackets(text: bytes, begin: int) -> Iterator[tuple[int, int]]:
    """Position after each bracket, and how many brackets are open there."""
    at = begin
    level = 0
    while found := _BRACKET.match(text, at):
        at = found.end()
        level += 1 if text[at - 1] in _OPENING else -1
        yield at, level


def elements(text: bytes, begin: int) -> Iterator[Span]:
    """Spans of the elements of the array at `begin`. Raises `NotJson`."""
    at = skip_space(text, begin + 1)
    while text[at : at + 1] != b"]":
        end = value_end(text, at)
        yield Span(at, end)
        at = _behind_comma(text, end, b"]")


def members(text: bytes, begin: int) -> Iterator[Member]:
    """Members of the object at `begin`; a repeated name gives several members. Raises `NotJson`."""
    at = skip_space(text, begin + 1)
    while text[at : at + 1] != b"}":
        name = _STRING.match(text, at)
        colon = skip_space(text, name.end()) if name else at
        if name is None or text[colon : colon + 1] != b":":
            raise NotJson(f"no name at byte {at}")
        at = skip_space(text, colon + 1)
        end = value_end(text, at)
        yield Member(decoded_string(name.group()), at, end)
        at = _behind_comma(text, end, b"}")


def members_if_object(text: bytes, begin: int) -> Iterator[Member]:
    """Members of the value at `begin`; none if it is not an object. Raises `NotJson`."""
    if text[begin : begin + 1] == b"{":
        yield from members(text, begin)


def _behind_comma(text: bytes, end: int, closing: bytes) -> int:
    at = skip_space(text, end)
    if text[at : at + 1] == b",":
        at = skip_space(text, at + 1)
        if text[at : at + 1] == closing:
            raise NotJson(f"nothing behind the comma before byte {at}")
        return at
    if text[at : at + 1] != closing:
        raise NotJson(f"neither a comma nor an end at byte {at}")
    return at


def decoded_string(token: bytes) -> str:
    """Text of a JSON string; bytes that are not UTF-8, and invalid escapes, stay recognizable."""
    try:
        return str(json.loads(token.decode("utf-8", "surrogateescape"), strict=False))
    except ValueError:
        return token[1:-1].decode("utf-8", "surrogateescape")
