"""Whether two histories of a number differ by nothing but what was erased from one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from etl.domain.tables import VIRTUAL_NUMBERS

Version = tuple[tuple[Any, ...], tuple[Any, ...]]
"""What orders versions (key, valid_from), and all that is compared: the columns, valid_from, valid_to."""
_PERSONAL = [i for i, c in enumerate(VIRTUAL_NUMBERS.columns) if c.personal]
_Interval = tuple[datetime, datetime | None]


def alike(warehouse: Sequence[Version], replayed: Sequence[Version], erased: Collection[datetime]) -> bool:
    """Whether the versions of one number are the same without the content of those that were erased.

    `erased`: when the versions began that were erased from the warehouse. Where such a version stands, neighbours that
    differed by their content only are one.
    """
    gone = [_interval(v) for v in warehouse if v[0][-1] in erased and _is_empty(v)]
    return _folded(warehouse, gone) == _folded(replayed, gone)


def _interval(version: Version) -> _Interval:
    return version[1][-2], version[1][-1]


def _is_empty(version: Version) -> bool:
    return all(version[1][i] is None for i in _PERSONAL)


def _folded(versions: Iterable[Version], gone: Iterable[_Interval]) -> list[tuple[Any, ...]]:
    """The versions without the content that is gone, neighbours that are the same then as one."""
    out: list[tuple[Any, ...]] = []
    for version in versions:
        *values, begin, end = version[1]
        if any(start <= begin and (stop is None or begin < stop) for start, stop in gone):
            values = [None if i in _PERSONAL else v for i, v in enumerate(values)]
        if out and out[-1][:-2] == tuple(values) and out[-1][-1] == begin:
            begin = out.pop()[-2]
        out.append((*values, begin, end))
    return out
