"""Page processor: checks each page of a listing and turns it into rows, for a first load and a re-sync alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from typing import Any

from etl.domain import tables
from etl.domain.columns import Columns
from etl.domain.fingerprints import ListingPrint
from etl.extract.page import Page, Record
from etl.load.first import Batch
from etl.load.incremental import IncrementalState
from etl.load.partial import PartlyRead
from etl.sync.checks import refuse_mass_quarantine, refuse_strangers
from etl.transform.decode import Rejected, partly_read
from etl.transform.drift import DriftKind, DriftLog
from etl.transform.normalize import Normalizer
from etl.transform.page_rows import PageRows, SharedRows, Transformation

_CUSTOMER = ("virtual_number_id", "child_customer_id")


class PageProcessor:
    """Processes the pages of one account: refuses strangers; collects refused records, drift and fingerprints.

    `roster`: the ids of all accounts that the token reaches. `before`: the fingerprints of the last listing.
    """

    def __init__(self, account_id: int, roster: Set[int], before: ListingPrint | None = None) -> None:
        self._account_id, self._roster = account_id, roster
        self.normalizer = Normalizer(DriftLog())
        self.rejected: list[Rejected] = []
        self.incremental = IncrementalState(before, self.normalizer)
        self._transformation = Transformation(self.normalizer)

    @property
    def drift(self) -> DriftLog:
        """Fields, values and types that the documentation does not mention."""
        return self.normalizer.drift

    def process(self, page: Page) -> Batch:
        """The rows of a page, in the tables whose rows belong to one number; none for an unchanged page."""
        if page.is_unchanged and page.before is not None:
            self.incremental.keep(page.before)
            return {}
        return self.accept(page, self._transformation.records([*page.records.values(), *page.unreadable]))

    def accept(self, page: Page, rows: PageRows) -> Batch:
        """The same for a page that a transformer has read: `page` without its records, and the rows."""
        batch = self._accepted(rows)
        phones = dict(zip(rows.ids, rows.phones, strict=True))
        self.incremental.take(page, phones, rows.drift_entries, partly_read(rows.rejected))
        return batch

    def process_alone(self, records: Collection[Record]) -> Batch:
        """The rows of records that came outside the listing; no fingerprints are kept of them."""
        return self._accepted(self._transformation.records(records))

    def _accepted(self, rows: PageRows) -> Batch:
        batch = {name: Columns(tables.BY_NAME[name], values) for name, values in rows.tables.items()}
        if numbers := batch.get(tables.VIRTUAL_NUMBERS.name):
            refuse_strangers(self._account_id, self._roster, numbers.rows(_CUSTOMER))
        self.rejected += rows.rejected
        for path, kind, value in rows.drift_entries:
            self.drift.note(path, DriftKind(kind), value)
        self.normalizer.phones.add(rows.phones, rows.ids)
        return batch

    def adopt(self, shared: SharedRows) -> Batch:
        """The rows that numbers share, when a transformer has read all pages."""
        self.normalizer.adopt(
            shared.rows,
            conflicts=shared.conflicts,
            unreported=shared.unreported,
            of_shared=shared.unreported_shared,
        )
        return {n: Columns.of(tables.BY_NAME[n], rows) for n, rows in self.shared_rows().items() if rows}

    def shared_rows(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """The rows that numbers share, from all pages together."""
        return self.normalizer.shared_rows()

    def refuse_mass_quarantine(self, listed: int) -> None:
        """Refuse the listing when most of its records cannot be used."""
        refuse_mass_quarantine(self.rejected, listed)

    @property
    def unusable(self) -> set[int | None]:
        """The ids of the numbers whose records cannot be used at all."""
        return {r.virtual_number_id for r in self.rejected if r.whole}

    @property
    def partly_read(self) -> PartlyRead:
        """Numbers of which some element could not be used, with the tables whose rows stay open for that."""
        return {
            (r.virtual_number_id, table)
            for r in self.rejected
            if r.virtual_number_id is not None
            for table in r.keeps_open
        }
