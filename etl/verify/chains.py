"""One account's chain: every link worked out anew from the history, and compared with what its sync sealed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
"""So many runs at most are named one by one, any of which may have lost its sync."""
Found = dict[str, Scan]
"""What was found in each table, by its name."""


@dataclass(frozen=True)
class Chain:
    """An account's records and what its tables hold, to be compared."""

    account_id: str
    syncs: list[Sync]
    sealed: Mapping[tuple[str, str, str], Sealed]
    """What was kept of the sections, by run, table and change."""
    records: Records
    found: Found
    versions: Mapping[str, Versions]
    problems: Problems

    def check(self, connection: Connection) -> None:
        """Compare every link; what differs is looked at once more, for the row that does."""
        previous: Sync | None = None
        told = set()
        for sync in self.syncs:
            sections = list(self._sections(sync))
            told |= {(sync.run_id, s.table, s.change.value) for s in sections}
            self._check_counts(sync, sections)
            if self._digest(sync, previous.chain_digest if previous else None, sections) != sync.chain_digest:
                self._tell_difference(connection, previous, sync, sections)
            else:
                self._check_kept(sync, sections)
            previous = sync
        for place, kept in self.sealed.items():
            if place not in told:
                self._tell(kept.run_id, "chain_sections", f"{kept.change} {kept.table_name}", "tells of no such change")

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
        for change, said in ((Change.OPENED, sync.rows_opened), (Change.CLOSED, sync.rows_closed)):
            count = sum(s.versions for s in sections if s.change is change)
            if str(count) != said:
                what = f"says that it {change.value} {said} versions; the history has {count}"
                self._tell(sync.run_id, "account_syncs", f"run_id {sync.run_id}", what)

    # -- what differs

    def _tell_difference(
        self, connection: Connection, previous: Sync | None, sync: Sync, sections: list[Section]
    ) -> None:
        differ = list(self._differing(sync, sections))
        for table, change in differ:
            self._tell_section(connection, sync, table, change)
        if not differ:
            what = (
                f"the sync of {sync.observed_at} was edited, or the one before it, or its digest: {sync.chain_digest}"
            )
            self._tell(sync.run_id, "account_syncs", f"run_id {sync.run_id}", what)
            self._tell_lost(previous, sync)

    def _tell_lost(self, previous: Sync | None, sync: Sync) -> None:
        """No other row tells of a sync that changed nothing: one of the runs between two links may have lost it.

        Before the first link there can be none, for `accounts` tells of the first.
        """
        if previous is None:
            return
        since, upto = _in_time(previous.run_id), _in_time(sync.run_id)
        between = {run for run in self.records.runs if since < _in_time(run) < upto}
        runs = self.records.without_sync(self.account_id, between)
        if not runs or runs & self.records.lost_syncs(self.account_id):
            return
        why = f"{sync.run_id} does not follow from {previous.run_id}: it may have been taken away"
        if len(runs) > MOST_NAMED:
            self._tell(sync.run_id, "account_syncs", None, f"of {len(runs)} runs without a sync, one is wanted: {why}")
            return
        for run in sorted(runs):
            self._tell(run, "account_syncs", f"run_id {run}", f"is not there, and {why}")

    def _differing(self, sync: Sync, sections: list[Section]) -> Iterator[tuple[str, Change]]:
        now = {(s.table, s.change): s for s in sections}
        for table in declared.TABLES:
            for change in Change:
                found, kept = now.get((table.name, change)), self.sealed.get((sync.run_id, table.name, change.value))
                if (found and (str(found.versions), found.digest)) != (kept and (kept.versions, kept.digest)):
                    yield table.name, change

    def _tell_section(self, connection: Connection, sync: Sync, table: str, change: Change) -> None:
        if not sync.observed_at or not sync.observed_at.isascii():  # infinite, or no instant: nothing to look for
            self._tell(sync.run_id, table, None, f"not what was sealed as {change.value}")
            return
        versions = self.versions[table]
        kept = self.sealed.get((sync.run_id, table, change.value))
        sums = sums_of(kept.versions, kept.locator) if kept else sums_of("0", "0:0:0")
        what = f"not what was sealed as {change.value} at {sync.observed_at}: "
        if sums is None:
            self._tell(sync.run_id, table, None, what + "and the aid to find the row was edited too")
            return
        place = differing(list(versions.sealed_lines(connection, sync.observed_at, change)), sums)
        key = None if place.key is None else named_key(BY_NAME[table], place.key)
        self._tell(sync.run_id, table, key, what + place.what)

    def _check_kept(self, sync: Sync, sections: list[Section]) -> None:
        """The link is right; then what was kept of its sections is right too, unless it was edited."""
        now = {(s.table, s.change.value): (str(s.versions), s.digest, s.locator) for s in sections}
        for (table, change), made in now.items():
            kept = self.sealed.get((sync.run_id, table, change))
            if kept is None or (kept.versions, kept.digest, kept.locator) != made:
                self._tell(sync.run_id, "chain_sections", f"{change} {table}", "was edited or taken away")

    def _tell(self, run_id: str, table: str, key: str | None, what: str) -> None:
        self.problems.add(Problem(table=table, key=key, account_id=self.account_id, run_id=run_id, what=what))


def _in_time(run_id: str) -> tuple[int, str]:
    """Run ids are whole numbers that grow; an edit by hand may have left another text."""
    return len(run_id), run_id


def kept_sections(records: Records, account_id: str) -> dict[tuple[str, str, str], Sealed]:
    """What was kept of an account's sections, by run, table and change."""
    return {(s.run_id, s.table_name, s.change): s for s in records.sealed.get(account_id, [])}
