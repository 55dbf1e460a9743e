"""Records that are too large to be read: a small record stands in for each, on its way to the quarantine."""

from __future__ import annotations

import json
from dataclasses import dataclass

from etl.domain.bounds import MOST_VALUES, excess
from etl.domain.text import MARK

KEPT = 10_000
"""Bytes that are kept of the beginning of such a record."""
_REASON, _BEGINNING = f"{MARK}excess", f"{MARK}beginning"
"""Names that the source can send in no record (`text.storable`)."""
_MARKED = f'{{"{_REASON}":'.encode()


@dataclass(frozen=True)
class Excess:
    """What a stand-in says: why the record is not read, its beginning, and its id (None: it cannot be read)."""

    reason: str
    beginning: str
    number_id: int | None


def stand_in(record: bytes, number_id: int | None) -> bytes | None:
    """What stands in for a record that is too large; None for one that is not."""
    reason = excess(record) if len(record) > MOST_VALUES else None
    if reason is None:
        return None
    beginning = record[:KEPT].decode("utf-8", "backslashreplace")
    told = {_REASON: reason, _BEGINNING: beginning, "id": number_id}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def excess_of(record: bytes) -> Excess | None:
    """What a record says if it is a stand-in; None for any other record."""
    if not record.startswith(_MARKED):
        return None
    told = json.loads(record)
    return Excess(told[_REASON], told[_BEGINNING], told["id"])
