"""One phone number under two ids: history goes by id, so it is no fault, but whoever joins calls by phone must know."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection

from etl.transform.drift import DriftKind, DriftLog
from etl.transform.records import Number


class RepeatedPhones:
    """Remembers the phones of an account in 16 bytes each: a hash and the id that has it."""

    def __init__(self) -> None:
        self._hashes, self._ids = array("q"), array("q")

    def see(self, numbers: Collection[Number]) -> None:
        """Take note of a page."""
        self._hashes.extend([hash(n.virtual_phone_number) for n in numbers])
        self._ids.extend([n.id for n in numbers])

    def tell(self, drift: DriftLog) -> None:
        """Note the ids that share a phone, ascending, each such set once; a number without a phone shares none."""
        if len(set(self._hashes)) == len(self._hashes):
            return
        holders: dict[int, set[int]] = defaultdict(set)
        for phone, number_id in zip(self._hashes, self._ids, strict=True):
            holders[phone].add(number_id)
        holders.pop(hash(None), None)
        for shared in sorted(sorted(ids) for ids in holders.values() if len(ids) > 1):
            drift.note("$.virtual_phone_number", DriftKind.REPEATED_VALUE, "ids " + ", ".join(map(str, shared)))
