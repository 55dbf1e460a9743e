"""Comparison of two histories of one number that ignores the content that was erased from one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from etl.domain.tables import VIRTUAL_NUMBERS

Version = tuple[tuple[Any, ...], tuple[Any, ...]]
"""Sort key of a version (key, valid_from), and the values to compare (columns, valid_from, valid_to)."""
_PERSONAL = [i for i, c in enumerate(VIRTUAL_NUMBERS.columns) if c.personal]
_Interval = tuple[datetime, datetime | None]


def alike(warehouse: Sequence[Version], replayed: Sequence[Version], erased: Collection[datetime]) -> bool:
    """Whether the versions of one number are equal when erased content is ignored.

    `erased`: start times of the versions that were erased from the warehouse. During such a version, neighbouring
    versions that differ only in personal content count as one.
    """
    intervals = [_interval(v) for v in warehouse if v[0][-1] in erased and _is_empty(v)]
    return _merged(warehouse, intervals) == _merged(replayed, intervals)


def _interval(version: Version) -> _Interval:
    return version[1][-2], version[1][-1]


def _is_empty(version: Version) -> bool:
    return all(version[1][i] is None for i in _PERSONAL)


def _merged(versions: Iterable[Version], erased: Iterable[_Interval]) -> list[tuple[Any, ...]]:
    """Versions without personal content in the erased intervals; neighbours that become equal are merged."""
    out: list[tuple[Any, ...]] = []
    for version in versions:
        *values, begin, end = version[1]
        if any(start <= begin and (stop is None or begin < stop) for start, stop in erased):
            values = [None if i in _PERSONAL else v for i, v in enumerate(values)]
        if out and out[-1][:-2] == tuple(values) and out[-1][-1] == begin:
            begin = out.pop()[-2]
        out.append((*values, begin, end))
    return out
