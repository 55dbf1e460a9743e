"""Keys that come twice in one JSON object: a decoder takes the last and forgets the other, so such a record is refused.

Found without a parser of our own, and exactly: what was decoded is encoded again, which gives the shortest JSON of what
was kept. Equal length means that nothing was left out. Where the source writes spaces or escapes, quotes are counted
instead: every key and every string has two, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from etl.domain.repeats import repeated_name

_encode = msgspec.json.Encoder(decimal_format="number").encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def keeps_everything(sent: bytes, decoded: Sequence[msgspec.Struct]) -> bool:
    """Whether `decoded` is all of `sent`: structs without floats, that leave out what they were not given."""
    kept = _encode(decoded)
    return len(kept) == len(sent) or _quotes(kept) == _quotes(sent)


def repeated_key(sent: bytes, decoded: Any) -> str | None:
    """A key that comes twice in one object of `sent`; None: there is none. `decoded` was made of it without types."""
    return None if _quotes(_encode(decoded)) == _quotes(sent) else repeated_name(sent)


def members(sent: bytes) -> dict[str, msgspec.Raw]:
    """The fields of an object, each undecoded. Raises `msgspec.ValidationError` when it is none, or one comes twice."""
    fields = _members.decode(sent)
    if _quotes(_encode(fields)) != _quotes(sent):
        raise msgspec.ValidationError("a field comes twice in one object")
    return fields


def _quotes(valid_json: bytes) -> int:
    """How many quotes stand around keys and strings: all but the escaped ones."""
    if b"\\" in valid_json:
        valid_json = valid_json.replace(b"\\\\", b"").replace(b'\\"', b"")
    return valid_json.count(b'"')
