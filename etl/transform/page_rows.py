"""A page's records turned into columns of rows, in a form that can lie in a file or come from another process."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from etl.domain import tables
from etl.domain.columns import Columns
from etl.domain.fingerprints import DriftEntry
from etl.transform.decode import Rejected, decode_page
from etl.transform.drift import DriftLog
from etl.transform.normalize import Normalizer

_by_id = attrgetter("id")


class PageRows(msgspec.Struct, array_like=True, gc=False):
    """What one page came to.

    `ids`, `phones`: of the usable numbers, and the keys of their phones; `drift_entries`: of the source, as this page
    shows them; `tables`: the columns of the tables whose rows belong to one number each (`domain.columns`).
    """

    ids: list[int]
    phones: list[int]
    drift_entries: list[DriftEntry]
    rejected: list[Rejected]
    tables: dict[str, dict[str, Sequence[Any]]]


class SharedRows(msgspec.Struct, array_like=True, gc=False):
    """What all pages together came to: the rows that numbers share, by table, and what `Normalizer` says of them."""

    rows: dict[str, list[tuple[Any, ...]]]
    conflicts: int
    unreported: bool
    unreported_shared: bool


class Transformation:
    """Turns the pages of one account into rows, one after the other."""

    def __init__(self) -> None:
        self._drift = DriftLog()
        self._normalizer = Normalizer(self._drift)

    def page(self, records: bytes) -> PageRows:
        """The rows of some records, `joined`, no number of which came before."""
        with self._drift.apart() as noted:
            decoded = decode_page(records, self._drift)
            decoded.numbers.sort(key=_by_id)  # as their rows are to be: what is in order is sorted in no time
            rows = self._normalizer.rows(decoded.numbers)
        phones = list(self._normalizer.phones.latest(len(decoded.numbers)))
        self._normalizer.phones.forget()
        made = {name: Columns.of(tables.BY_NAME[name], some) for name, some in rows.items() if some}
        return PageRows(
            ids=[number.id for number in decoded.numbers],
            phones=phones,
            drift_entries=[d.plain for d in noted.seen],
            rejected=decoded.rejected,
            tables={name: {one: columns.values(one) for one in columns.used} for name, columns in made.items()},
        )

    def shared(self) -> SharedRows:
        """What numbers share; to be asked for at the end."""
        normalizer = self._normalizer
        return SharedRows(
            rows={name: list(rows.values()) for name, rows in normalizer.shared.items()},
            conflicts=normalizer.conflicts,
            unreported=normalizer.unreported,
            unreported_shared=normalizer.unreported_shared,
        )
