"""Repeated phones: one phone number under two ids. History goes by id, so it is no error, but it matters to anyone who
joins calls by phone."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from etl.transform.drift import DriftKind, DriftLog

NO_PHONE = 0
TOGETHER = 200_000
"""Keys that are sorted at once."""
_LONGEST_DIGITS = 17


def phone_key(phone: str | None) -> int:
    """A phone as a 64-bit number, the same in every process: a 1 and its digits, or a digest if it has other signs."""
    if phone is None:
        return NO_PHONE
    if phone.isascii() and phone.isdigit() and len(phone) <= _LONGEST_DIGITS:
        return int(f"1{phone}")
    digest = hashlib.blake2b(phone.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


class RepeatedPhones:
    """Phones of an account, in 16 bytes each: a key, and the id of the number that has it."""

    def __init__(self) -> None:
        self._keys, self._ids = array("q"), array("q")

    def add(self, keys: Sequence[int], ids: Sequence[int]) -> None:
        """Add numbers: the key of each one's phone, and its id."""
        self._keys.extend(keys)
        self._ids.extend(ids)

    def note_repeats(self, drift: DriftLog) -> None:
        """Note as drift the ids that share a phone, ascending, each set once; numbers without a phone share none."""
        repeated = _repeated(self._keys) - {NO_PHONE}
        if not repeated:
            return
        holders: dict[int, set[int]] = defaultdict(set)
        for key, number_id in zip(self._keys, self._ids, strict=True):
            if key in repeated:
                holders[key].add(number_id)
        for shared in sorted(sorted(ids) for ids in holders.values() if len(ids) > 1):
            drift.note("$.virtual_phone_number", DriftKind.REPEATED_VALUE, "ids " + ", ".join(map(str, shared)))


def _repeated(keys: Sequence[int]) -> set[int]:
    """The keys that occur more than once. They are sorted in parts, because sorting makes an object of each key."""
    parts = len(keys) // TOGETHER + 1
    found: set[int] = set()
    for part in range(parts):
        mine = sorted(key for key in keys if key % parts == part) if parts > 1 else sorted(keys)
        found.update(one for one, next_one in pairwise(mine) if one == next_one)
    return found
