"""Pure: what held, from when to when, under the names of the time. Versions in, spans out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Version:
    """A row as it was on `[valid_from, valid_to)`; `valid_to` is None while it lasts. `values`: by column, key too.

    `erased_at`: when its personal content was erased, None where it was not.
    """

    valid_from: datetime
    valid_to: datetime | None
    values: Values
    erased_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time on which something held unchanged. It began after `after` (None: unknown), not later than `valid_from`.

    `erased_at`: as in `Version`.
    """

    valid_from: datetime
    after: datetime | None
    valid_to: datetime | None
    values: Values
    erased_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A time between two lives of a number, on which the source did not list it."""

    valid_from: datetime
    valid_to: datetime


Names = Mapping[str, Mapping[Any, Sequence[Version]]]
"""For a column that refers to something: its versions, by the id that the column holds."""


def spans(link: Version, names: Names, observed: Sequence[datetime], *, shown: Sequence[str]) -> Iterator[Span]:
    """The link cut where anything that it refers to changed its name; neighbours that read alike are one.

    `names`: looked up in this order, each with what those before it told (a campaign tells its site); `observed`: the
    account's observations, ascending; `shown`: the columns that count.
    """
    versions = (v for known in names.values() for each in known.values() for v in each)
    cuts = {link.valid_from, *(v.valid_from for v in versions if link.valid_from < v.valid_from)}
    merged: list[tuple[datetime, Values]] = []
    for cut in sorted(cut for cut in cuts if holds(link, cut)):
        values = _values_at(cut, link, names, shown)
        if not merged or merged[-1][1] != values:
            merged.append((cut, values))
    ends = [start for start, _ in merged[1:]] + [link.valid_to]
    for (start, values), end in zip(merged, ends, strict=True):
        after = previous(start, observed)
        yield Span(valid_from=start, after=after, valid_to=end, values=values, erased_at=link.erased_at)


def _values_at(moment: datetime, link: Version, names: Names, shown: Sequence[str]) -> Values:
    found: dict[str, Any] = dict(link.values)
    for column, known in names.items():
        versions = known.get(found.get(column), ())
        found |= next((v.values for v in versions if holds(v, moment)), {})
    return {name: found.get(name) for name in shown}


def holds(version: Version, moment: datetime) -> bool:
    """Whether the version held at the moment."""
    return version.valid_from <= moment and (version.valid_to is None or moment < version.valid_to)


def previous(moment: datetime, observed: Sequence[datetime]) -> datetime | None:
    """The last observation before the moment; None when there is none. `observed`: ascending."""
    place = bisect_left(observed, moment)
    return observed[place - 1] if place else None


def gaps(lives: Sequence[Version]) -> list[Gap]:
    """The times between versions of one row, ascending, that do not touch."""
    return [
        Gap(valid_from=one.valid_to, valid_to=two.valid_from)
        for one, two in pairwise(lives)
        if one.valid_to is not None and one.valid_to < two.valid_from
    ]
