"""Rows of a page, in columns: a form that can be kept in a file or come from another process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec

from etl.domain import tables
from etl.domain.columns import Columns
from etl.domain.fingerprints import DriftEntry
from etl.transform.decode import Decoded, Record, Rejected, decode, decode_page
from etl.transform.drift import DriftLog
from etl.transform.normalize import Normalizer
from etl.transform.phones import phone_key

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

    def records(self, records: Collection[Record]) -> PageRows:
        """The rows of a page's records; none of its numbers came on an earlier page."""
        return self._rows(partial(decode, records))

    def page(self, page: bytes) -> PageRows:
        """The rows of a page whose records were `joined`."""
        return self._rows(partial(decode_page, page))

    def _rows(self, decode: Callable[[DriftLog], Decoded]) -> PageRows:
        drift = self._normalizer.drift
        with drift.block_log() as noted:
            decoded = decode(drift)
            decoded.numbers.sort(key=_by_id)  # the order of the rows: `Columns.of` then sorts them quickly
            rows = self._normalizer.rows(decoded.numbers)
        return PageRows(
            ids=[number.id for number in decoded.numbers],
            phones=[phone_key(number.virtual_phone_number) for number in decoded.numbers],
            drift_entries=[d.plain for d in noted.seen],
            rejected=decoded.rejected,
            tables={name: Columns.of(tables.BY_NAME[name], some).transported for name, some in rows.items() if some},
        )

    def shared(self) -> SharedRows:
        """The rows that numbers share; to be called at the end."""
        normalizer = self._normalizer
        return SharedRows(
            rows={name: list(rows.values()) for name, rows in normalizer.shared.items()},
            conflicts=normalizer.conflicts,
            unreported=normalizer.unreported,
            unreported_shared=normalizer.unreported_shared,
        )
