"""Stand-ins: small records that replace records which are too large to be read, on their way to the quarantine."""

from __future__ import annotations

import json

from msgspec import Struct

from etl.domain.bounds import MOST_VALUES, excess
from etl.domain.text import MARK

KEPT = 10_000
"""Bytes that are kept from the beginning of such a record."""
_REASON, _BEGINNING = f"{MARK}excess", f"{MARK}beginning"
"""Names that no record of the source can have (`text.storable`)."""
_MARKED = f'{{"{_REASON}":'.encode()


class Excess(Struct, frozen=True):
    """Content of a stand-in: why the record is not read, its beginning, and its id (None: unreadable)."""

    reason: str
    beginning: str
    number_id: int | None


def stand_in(record: bytes, number_id: int | None) -> bytes | None:
    """The stand-in for a record that is too large; None for any other record."""
    reason = excess(record) if len(record) > MOST_VALUES else None
    if reason is None:
        return None
    beginning = record[:KEPT].decode("utf-8", "backslashreplace")
    content = {_REASON: reason, _BEGINNING: beginning, "id": number_id}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def excess_of(record: bytes) -> Excess | None:
    """The content of a stand-in; None for any other record."""
    if not record.startswith(_MARKED):
        return None
    content = json.loads(record)
    return Excess(content[_REASON], content[_BEGINNING], content["id"])
