"""Search for the row of a section that differs from the seal, by three sums over the section's lines (see `Lines`).

It finds a single row that was edited, added, moved in the order or deleted. It only helps to find the row: the digests
alone prove that something differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from zlib import crc32

from msgspec import Struct

from etl.domain.canonical import text_of
from etl.domain.chain import first_key

MOST_TO_MOVE = 3000
"""Maximum number of rows in a section that is searched for a row with an edited key: each pair of places is tried."""

Key = list[bytes]


class RowDifference(Struct, frozen=True):
    """Difference of a section: the row's key (of a deleted row only the first part), and a description.

    `key` None: more than one row differs.
    """

    key: Key | None
    what: str


class Sums(Struct, frozen=True):
    """Seal of a section: number of lines, plain and weighted sum of their CRC-32, and sum of their keys."""

    lines: int
    plain: int
    weighted: int
    keys: int


MANY = RowDifference(None, "more than one row differs from what was sealed")


def sums_of(versions: str, locator: str) -> Sums | None:
    """Sums from a row of `chain_sections`; None if the row was edited and cannot be read."""
    try:
        plain, weighted, keys = locator.split(":")
        return Sums(int(versions), int(plain), int(weighted), int(keys))
    except ValueError:
        return None


def differing(rows: Sequence[tuple[Key, bytes]], sealed: Sums) -> RowDifference:
    """Difference between rows (keys and lines, in order) and the seal."""
    crcs = [crc32(line) for _, line in rows]
    more = len(rows) - sealed.lines
    if more == 0:
        return _edited(rows, crcs, sealed)
    if more == 1:
        return _added(rows, crcs, sealed)
    return _missing(rows, crcs, sealed) if more == -1 else MANY


def _weighted(crcs: Sequence[int]) -> int:
    return sum(place * crc for place, crc in enumerate(crcs))


def _edited(rows: Sequence[tuple[Key, bytes]], crcs: list[int], sealed: Sums) -> RowDifference:
    by, by_weighted = sum(crcs) - sealed.plain, _weighted(crcs) - sealed.weighted
    if by and by_weighted % by == 0 and 0 <= by_weighted // by < len(rows):
        return RowDifference(rows[by_weighted // by][0], "this row was edited")
    return _moved(rows, crcs, sealed)


def _added(rows: Sequence[tuple[Key, bytes]], crcs: list[int], sealed: Sums) -> RowDifference:
    by, by_weighted = sum(crcs) - sealed.plain, _weighted(crcs) - sealed.weighted
    after = _sums_after(crcs)
    for place, crc in enumerate(crcs):
        if crc == by and crc * place + after[place] == by_weighted:
            return RowDifference(rows[place][0], "this row was added, or its date was changed to this sync's")
    return MANY


def _missing(rows: Sequence[tuple[Key, bytes]], crcs: list[int], sealed: Sums) -> RowDifference:
    lost = sealed.plain - sum(crcs)
    place = _place_of_lost(crcs, lost, sealed.weighted - _weighted(crcs))
    if place is None:
        return MANY
    before = rows[place - 1][0] if place else None
    after = rows[place][0] if place < len(rows) else None
    where = [f"{w} {', '.join(text_of(p) for p in key)}" for w, key in (("after", before), ("before", after)) if key]
    key = [str(sealed.keys - sum(first_key(line) for _, line in rows)).encode()]
    what = "a row was deleted, or its date was changed to another sync's"
    return RowDifference(key, ", ".join([what, *where]))


def _place_of_lost(crcs: Sequence[int], lost: int, by_weighted: int) -> int | None:
    """Index at which a line with this CRC-32 was, if its absence explains the weighted sum."""
    after = [sum(crcs), *_sums_after(crcs)]
    for place, rest in enumerate(after):
        if lost * place + rest == by_weighted:
            return place
    return None


def _moved(rows: Sequence[tuple[Key, bytes]], crcs: list[int], sealed: Sums) -> RowDifference:
    """Search for a row whose key was edited: without it, and with another row at some index, the sums match."""
    if len(rows) <= MOST_TO_MOVE:
        for place, crc in enumerate(crcs):
            others = crcs[:place] + crcs[place + 1 :]
            lost = sealed.plain - sum(others)
            if 0 < lost < 2**32 and crc != lost:
                found = _place_of_lost(others, lost, sealed.weighted - _weighted(others))
                if found is not None:
                    return RowDifference(rows[place][0], "this row's key was edited")
    return MANY


def _sums_after(crcs: Sequence[int]) -> list[int]:
    """For each index, the sum of all later values."""
    total = sum(crcs)
    return [total - upto for upto in accumulate(crcs)]
