"""Repeated keys in one JSON object: a decoder keeps the last value and drops the first, so such a record is refused.

They are found exactly, and without a parser of our own: the decoded value is encoded again, which gives the shortest
JSON of it. Equal length means that nothing was dropped. If the source writes spaces or escapes, quotes are counted
instead: every key and every string has two, whatever it contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from etl.domain.repeats import repeated_name

_encode = msgspec.json.Encoder(decimal_format="number").encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def keeps_everything(sent: bytes, decoded: Sequence[msgspec.Struct]) -> bool:
    """Whether `decoded` holds all of `sent`. `decoded`: structs without floats that omit fields that were not sent."""
    kept = _encode(decoded)
    return len(kept) == len(sent) or _quotes(kept) == _quotes(sent)


def repeated_key(sent: bytes, decoded: Any) -> str | None:
    """A key that comes twice in one object of `sent`; None if none does. `decoded`: the same, decoded without types."""
    return None if _quotes(_encode(decoded)) == _quotes(sent) else repeated_name(sent)


def members(sent: bytes) -> dict[str, msgspec.Raw]:
    """The fields of an object, undecoded. Raises `msgspec.ValidationError` if it is none, or if a field comes twice."""
    fields = _members.decode(sent)
    if _quotes(_encode(fields)) != _quotes(sent):
        raise msgspec.ValidationError("a field comes twice in one object")
    return fields


def _quotes(valid_json: bytes) -> int:
    """How many quotes enclose keys and strings: all quotes that are not escaped."""
    if b"\\" in valid_json:
        valid_json = valid_json.replace(b"\\\\", b"").replace(b'\\"', b"")
    return valid_json.count(b'"')
