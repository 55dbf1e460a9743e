"""Verification of one account's chain: every link is recomputed from the history and compared with its sync's seal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from sqlalchemy import Connection

from etl.domain import tables as declared
from etl.domain.canonical import bytes_of
from etl.domain.chain import Change, Link, Section
from etl.domain.tables import BY_NAME
from etl.domain.verification import Problem, Problems
from etl.verify.locate import differing, sums_of
from etl.verify.records import Records, Sealed, Sync
from etl.verify.versions import Scan, Versions, named_key

MOST_NAMED = 10
"""Maximum number of runs that are named one by one as those that may have lost their sync."""
Found = dict[str, Scan]
"""Scan of each table, by the table's name."""


class Chain(Struct, frozen=True):
    """Syncs of one account and the scans of its tables, to be compared."""

    account_id: str
    syncs: list[Sync]
    sealed: Mapping[tuple[str, str, str], Sealed]
    """Rows of `chain_sections`, by run, table and change."""
    records: Records
    found: Found
    versions: Mapping[str, Versions]
    problems: Problems

    def check(self, connection: Connection) -> None:
        """Compare every link; if one differs, read its sections again to find the row that differs."""
        previous: Sync | None = None
        seen = set()
        for sync in self.syncs:
            sections = list(self._sections(sync))
            seen |= {(sync.run_id, s.table, s.change.value) for s in sections}
            self._check_counts(sync, sections)
            if self._digest(sync, previous.chain_digest if previous else None, sections) != sync.chain_digest:
                self._report_difference(connection, previous, sync, sections)
            else:
                self._check_kept(sync, sections)
            previous = sync
        for place, kept in self.sealed.items():
            if place not in seen:
                key = f"{kept.change} {kept.table_name}"
                self._report(kept.run_id, "chain_sections", key, "records a change that the history does not have")

    def _sections(self, sync: Sync) -> Iterator[Section]:
        moment = bytes_of(sync.observed_at or "")
        for table in declared.TABLES:
            for change in Change:
                made = self.found[table.name].sections.get((moment, change))
                if made:
                    yield made.section(table.name, change)

    def _digest(self, sync: Sync, previous: str | None, sections: list[Section]) -> str:
        link = Link(
            previous=previous,
            account_id=int(self.account_id),
            observed=sync.observed_at or "",
            account_name=sync.account_name,
            timezone=sync.timezone,
        )
        return link.digest(sections)

    def _check_counts(self, sync: Sync, sections: list[Section]) -> None:
        for change, recorded in ((Change.OPENED, sync.rows_opened), (Change.CLOSED, sync.rows_closed)):
            count = sum(s.versions for s in sections if s.change is change)
            if str(count) != recorded:
                what = f"records {recorded} {change.value} versions; the history has {count}"
                self._report(sync.run_id, "account_syncs", f"run_id {sync.run_id}", what)

    # -- reports of differences

    def _report_difference(
        self, connection: Connection, previous: Sync | None, sync: Sync, sections: list[Section]
    ) -> None:
        differ = list(self._differing(sync, sections))
        for table, change in differ:
            self._report_section(connection, sync, table, change)
        if not differ:
            what = f"the sync of {sync.observed_at}, the previous sync or its digest {sync.chain_digest} was edited"
            self._report(sync.run_id, "account_syncs", f"run_id {sync.run_id}", what)
            self._report_lost(previous, sync)

    def _report_lost(self, previous: Sync | None, sync: Sync) -> None:
        """Report the runs between two links that may have lost a sync without changes, which no other row mentions.

        No sync can be missing before the first link, because `accounts` names the first run.
        """
        if previous is None:
            return
        since, upto = _in_time(previous.run_id), _in_time(sync.run_id)
        between = {run for run in self.records.runs if since < _in_time(run) < upto}
        runs = self.records.without_sync(self.account_id, between)
        if not runs or runs & self.records.lost_syncs(self.account_id):
            return
        why = f"run {sync.run_id} does not follow run {previous.run_id} in the chain"
        if len(runs) > MOST_NAMED:
            what = f"{why}: the sync of one of {len(runs)} runs between them may have been deleted"
            self._report(sync.run_id, "account_syncs", None, what)
            return
        for run in sorted(runs):
            self._report(run, "account_syncs", f"run_id {run}", f"may have been deleted: {why}")

    def _differing(self, sync: Sync, sections: list[Section]) -> Iterator[tuple[str, Change]]:
        now = {(s.table, s.change): s for s in sections}
        for table in declared.TABLES:
            for change in Change:
                found, kept = now.get((table.name, change)), self.sealed.get((sync.run_id, table.name, change.value))
                if (found and (str(found.versions), found.digest)) != (kept and (kept.versions, kept.digest)):
                    yield table.name, change

    def _report_section(self, connection: Connection, sync: Sync, table: str, change: Change) -> None:
        if not sync.observed_at or not sync.observed_at.isascii():  # infinite or not an instant: no rows to search
            self._report(sync.run_id, table, None, f"differs from what was sealed as {change.value}")
            return
        versions = self.versions[table]
        kept = self.sealed.get((sync.run_id, table, change.value))
        sums = sums_of(kept.versions, kept.locator) if kept else sums_of("0", "0:0:0")
        what = f"differs from what was sealed as {change.value} at {sync.observed_at}: "
        if sums is None:
            self._report(sync.run_id, table, None, what + "the locator in chain_sections was edited too")
            return
        difference = differing(list(versions.sealed_lines(connection, sync.observed_at, change)), sums)
        key = None if difference.key is None else named_key(BY_NAME[table], difference.key)
        self._report(sync.run_id, table, key, what + difference.what)

    def _check_kept(self, sync: Sync, sections: list[Section]) -> None:
        """Check the rows of `chain_sections` of a link that is correct: only an edit can make them differ."""
        now = {(s.table, s.change.value): (str(s.versions), s.digest, s.locator) for s in sections}
        for (table, change), made in now.items():
            kept = self.sealed.get((sync.run_id, table, change))
            if kept is None or (kept.versions, kept.digest, kept.locator) != made:
                self._report(sync.run_id, "chain_sections", f"{change} {table}", "was edited or deleted")

    def _report(self, run_id: str, table: str, key: str | None, what: str) -> None:
        self.problems.add(Problem(table=table, key=key, account_id=self.account_id, run_id=run_id, what=what))


def _in_time(run_id: str) -> tuple[int, str]:
    """Sort key that orders run ids by time. Ids are increasing whole numbers; an edited id may be any text."""
    return len(run_id), run_id


def kept_sections(records: Records, account_id: str) -> dict[tuple[str, str, str], Sealed]:
    """Rows of `chain_sections` of an account, by run, table and change."""
    return {(s.run_id, s.table_name, s.change): s for s in records.sealed.get(account_id, [])}
