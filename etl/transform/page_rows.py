"""Rows of a page, in columns: a form that can be kept in a file or come from another process."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any

import msgspec

from etl.domain import tables
from etl.domain.columns import Columns
from etl.domain.fingerprints import DriftEntry
from etl.transform.decode import Record, Rejected, decode, split
from etl.transform.drift import DriftLog
from etl.transform.normalize import NUMBER_TABLES, Normalizer
from etl.transform.phones import phone_key

TOGETHER = 500
"""Records that are transformed at a time: few enough for their objects to stay in the processor's cache."""
_by_id = attrgetter("id")


class PageRows(msgspec.Struct, array_like=True, gc=False):
    """Rows of one page.

    `ids`, `phones`: ids of the usable numbers, and the keys of their phones; `drift_entries`: drift that this page
    shows; `tables`: the columns of the tables whose rows belong to one number each (`domain.columns`).
    """

    ids: list[int]
    phones: list[int]
    drift_entries: list[DriftEntry]
    rejected: list[Rejected]
    tables: dict[str, dict[str, Sequence[Any]]]


class SharedRows(msgspec.Struct, array_like=True, gc=False):
    """Rows that numbers share, from all pages together, by table, with the counts and flags of `Normalizer`."""

    rows: dict[str, list[tuple[Any, ...]]]
    conflicts: int
    unreported: bool
    unreported_shared: bool


class Transformation:
    """Turns the pages of one account into rows, one after the other. `normalizer`: the account's; None: a new one."""

    def __init__(self, normalizer: Normalizer | None = None) -> None:
        self._normalizer = normalizer or Normalizer(DriftLog())

    def page(self, page: bytes) -> PageRows:
        """The rows of a page whose records were `joined`."""
        return self.records(split(page))

    def records(self, records: Collection[Record]) -> PageRows:
        """The rows of a page's records; none of its numbers came on an earlier page."""
        page = PageRows(ids=[], phones=[], drift_entries=[], rejected=[], tables={})
        columns: dict[str, list[Columns]] = {name: [] for name in NUMBER_TABLES}
        with self._normalizer.drift.block_log() as noted:
            for some in _parts(records):
                self._add(some, page, columns)
        page.drift_entries = [d.plain for d in noted.seen]
        page.tables = {name: Columns.joined(parts).transported for name, parts in columns.items() if parts}
        return page

    def _add(self, records: Collection[Record], page: PageRows, columns: dict[str, list[Columns]]) -> None:
        """Add what some of a page's records become to the page, and their columns by table."""
        decoded = decode(records, self._normalizer.drift)
        decoded.numbers.sort(key=_by_id)  # the order of the rows: `Columns.of` then sorts them quickly
        page.ids += [number.id for number in decoded.numbers]
        page.phones += [phone_key(number.virtual_phone_number) for number in decoded.numbers]
        page.rejected += decoded.rejected
        for name, rows in self._normalizer.rows(decoded.numbers).items():
            if rows:
                columns[name].append(Columns.of(tables.BY_NAME[name], rows))

    def shared(self) -> SharedRows:
        """The rows that numbers share; to be called at the end."""
        normalizer = self._normalizer
        return SharedRows(
            rows={name: list(rows.values()) for name, rows in normalizer.shared.items()},
            conflicts=normalizer.conflicts,
            unreported=normalizer.unreported,
            unreported_shared=normalizer.unreported_shared,
        )


def _parts(records: Iterable[Record]) -> Iterator[list[Record]]:
    rest = iter(records)
    while some := list(islice(rest, TOGETHER)):
        yield some
