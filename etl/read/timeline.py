"""Spans of a row's versions and links, cut where a name changed. Pure functions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from etl.domain import tables as declared
from etl.read.newly_known import known_values

Values = Mapping[str, Any]


class Version(Struct, frozen=True, kw_only=True):
    """A row as it was on `[valid_from, valid_to)`; `valid_to` is None while it lasts. `values`: by column, with key.

    `erased_at`: when its personal content was erased; None if it was not.
    """

    valid_from: datetime
    valid_to: datetime | None
    values: Values
    erased_at: datetime | None = None


class Span(Struct, frozen=True, kw_only=True):
    """A period without a change. It began after `after` (None: unknown) and not later than `valid_from`.

    `erased_at`: as in `Version`. `known`: values of fields that the source reported for the first time when the span
    began, and that were unknown before.
    """

    valid_from: datetime
    after: datetime | None
    valid_to: datetime | None
    values: Values
    erased_at: datetime | None = None
    known: Values = field(default_factory=dict)


class Gap(Struct, frozen=True, kw_only=True):
    """A period between two versions of a number in which the source did not list it."""

    valid_from: datetime
    valid_to: datetime


Names = Mapping[str, Mapping[Any, Sequence[Version]]]
"""For each column that refers to a shared row: the versions of the shared rows, by id."""


def spans(link: Version, names: Names, observed: Sequence[datetime], *, shown: Sequence[str]) -> Iterator[Span]:
    """Spans of the link, cut where a shared row that it refers to changed; equal neighbours are one span.

    `names`: looked up in this order, with the values found before (a campaign has the id of its site); `observed`: the
    account's observations, ascending; `shown`: the columns of a span, which decide whether neighbours are equal.
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
    """The last observation before the moment; None if there is none. `observed`: ascending."""
    index = bisect_left(observed, moment)
    return observed[index - 1] if index else None


def gaps(versions: Sequence[Version]) -> list[Gap]:
    """Gaps between the versions of one row. `versions`: ascending."""
    return [
        Gap(valid_from=one.valid_to, valid_to=two.valid_from)
        for one, two in pairwise(versions)
        if one.valid_to is not None and one.valid_to < two.valid_from
    ]


def with_known(
    spans: Sequence[Span], tables: Sequence[declared.Table], reported: Mapping[datetime, Collection[str]]
) -> tuple[Span, ...]:
    """The spans with the fields that became known when each of them began.

    `tables`: the table of the spans, then the shared tables with their names; `reported`: paths by the instant of the
    observation that reported them for the first time. A span continues one with the same key that ended when it began;
    a link with a rule may also continue the link without one.
    """
    key = [name for name in tables[0].key_names if all(name in span.values for span in spans)]
    ended = {(span.valid_to, *(span.values[name] for name in key)): span for span in spans}

    def before(span: Span) -> Span | None:
        values = {name: span.values[name] for name in key}
        unnamed = values | {_RULE: 0} if _RULE in key else values
        starts = ((span.valid_from, *each.values()) for each in (values, unnamed))
        return next((ended[start] for start in starts if start in ended), None)

    return tuple(_with_known(before(span), span, tables, reported.get(span.valid_from, ())) for span in spans)


_RULE = "call_processing_rule_id"


def _with_known(before: Span | None, span: Span, tables: Sequence[declared.Table], reported: Collection[str]) -> Span:
    if before is None or not reported:
        return span
    known: dict[str, Any] = {}
    for table in tables:
        known |= known_values(table, before.values, span.values, reported)[0]
    if before.erased_at or span.erased_at:
        lasting = {column.name for table in tables for column in table.columns if not column.personal}
        known = {name: value for name, value in known.items() if name in lasting}
    return replace(span, known=known)
