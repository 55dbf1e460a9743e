"""Which row of a section differs from what was sealed, worked out from three sums over its lines (see `Lines`).

It names a single row that was edited, added, moved in the order or taken away. It is a finding aid: that something
differs is proved by the digests, and needs none of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from zlib import crc32

from etl.domain.canonical import text_of
from etl.domain.chain import first_key

MOST_TO_MOVE = 3000
"""In a section of so many rows at most, a row whose key was edited is looked for: each pair of places is tried."""

Key = list[bytes]


@dataclass(frozen=True)
class RowDifference:
    """Where a section differs: the row's key (of a lost one its first part), and what became of it.

    `key` None: not a single row.
    """

    key: Key | None
    what: str


@dataclass(frozen=True)
class Sums:
    """What was sealed of a section: how many lines, the sums of their CRC-32, plain and weighted, and of their keys."""

    lines: int
    plain: int
    weighted: int
    keys: int


MANY = RowDifference(None, "more than one row differs from what was sealed")


def sums_of(versions: str, locator: str) -> Sums | None:
    """The sums as they are kept; None when somebody edited them."""
    try:
        plain, weighted, keys = locator.split(":")
        return Sums(int(versions), int(plain), int(weighted), int(keys))
    except ValueError:
        return None


def differing(rows: Sequence[tuple[Key, bytes]], sealed: Sums) -> RowDifference:
    """The place at which rows (keys and lines, in order) differ from what was sealed."""
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
    behind = _sums_behind(crcs)
    for place, crc in enumerate(crcs):
        if crc == by and crc * place + behind[place] == by_weighted:
            return RowDifference(rows[place][0], "this row was added, or dated into this sync")
    return MANY


def _missing(rows: Sequence[tuple[Key, bytes]], crcs: list[int], sealed: Sums) -> RowDifference:
    lost = sealed.plain - sum(crcs)
    place = _place_of_lost(crcs, lost, sealed.weighted - _weighted(crcs))
    if place is None:
        return MANY
    before = rows[place - 1][0] if place else None
    after = rows[place][0] if place < len(rows) else None
    beside = [f"{w} {', '.join(text_of(p) for p in key)}" for w, key in (("after", before), ("before", after)) if key]
    key = [str(sealed.keys - sum(first_key(line) for _, line in rows)).encode()]
    return RowDifference(key, f"a row was taken away, or dated into another sync{''.join(f', {b}' for b in beside)}")


def _place_of_lost(crcs: Sequence[int], lost: int, by_weighted: int) -> int | None:
    """Where a line with this CRC-32 stood, if its absence explains the weighted sum."""
    behind = [sum(crcs), *_sums_behind(crcs)]
    for place, rest in enumerate(behind):
        if lost * place + rest == by_weighted:
            return place
    return None


def _moved(rows: Sequence[tuple[Key, bytes]], crcs: list[int], sealed: Sums) -> RowDifference:
    """A row whose key was edited stands elsewhere: taken out where it is, another belongs in some place."""
    if len(rows) <= MOST_TO_MOVE:
        for place, crc in enumerate(crcs):
            others = crcs[:place] + crcs[place + 1 :]
            lost = sealed.plain - sum(others)
            if 0 < lost < 2**32 and crc != lost:
                found = _place_of_lost(others, lost, sealed.weighted - _weighted(others))
                if found is not None:
                    return RowDifference(rows[place][0], "this row's key was edited")
    return MANY


def _sums_behind(crcs: Sequence[int]) -> list[int]:
    """For each place, the sum of what stands behind it."""
    total = sum(crcs)
    return [total - upto for upto in accumulate(crcs)]
