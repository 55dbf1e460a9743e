"""Publication of one account in one transaction: rows are compared or written, sealed, recorded and committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, Select, bindparam, select

from etl.domain import chain
from etl.domain.chain import Section
from etl.domain.guard import Links
from etl.domain.runs import AccountResult, AccountStatus, TableChange
from etl.load import diff, findings, first_reported, partial
from etl.load.commit import commit
from etl.load.diff import PublicationStamp
from etl.load.findings import AccountFacts, Findings
from etl.load.first import Batch, FirstLoad
from etl.load.incremental import IncrementalState
from etl.load.partial import PartlyRead
from etl.load.seal import seal, sections
from etl.load.unlinking import removed_links
from etl.store import runs, schema
from etl.store.engine import database_errors
from etl.store.installations import Installation

TICK = timedelta(microseconds=1)


@cache
def _last_sync() -> Select[Any]:
    """The moment and the digest of the account's last published sync."""
    syncs = schema.account_syncs
    mine = (syncs.c.account_id == bindparam("mine")) & (syncs.c.observed_at.is_not(None))
    return select(syncs.c.observed_at, syncs.c.chain_digest).where(mine).order_by(syncs.c.observed_at.desc()).limit(1)


class Target(Struct, frozen=True, kw_only=True):
    """Target of a publication: connection, account and run. `pause`: waits for some seconds."""

    connection: Connection
    engine: Engine
    installation: Installation
    account_id: int
    run_id: int
    pause: Callable[[float], None]


class Staged(Struct, frozen=True, kw_only=True):
    """State before publishing: whether rows and gone numbers are staged; the count of the account's open numbers."""

    anything: bool
    gone: bool
    open_numbers: int


class PublishTransaction:
    """Publication of one account, from the first row to the commit. `changes`: versions opened and closed, by table.

    Either `write` receives the rows of a first load, or `compare` compares the staged rows. Then `finish` seals and
    records, and `commit` commits.
    """

    def __init__(self, target: Target, staged: Staged, now: datetime) -> None:
        self._target, self._connection, self._staged = target, target.connection, staged
        row = self._connection.execute(_last_sync(), {"mine": target.account_id}).first()
        self.previous: datetime | None = row.observed_at if row else None
        """The account's observation before this one."""
        self._digest: str | None = row.chain_digest if row else None
        self.stamp = PublicationStamp(target.account_id, target.run_id, self._moment(now))
        self.first: FirstLoad | None = None
        self.changes: dict[str, TableChange] = diff.no_changes()

    def _moment(self, now: datetime) -> datetime:
        """`now`, or just after the account's last moment, so that moments ascend even if the clock was set back."""
        after = now if self.previous is None else max(now, self.previous + TICK)
        return max(after, self._target.installation.since or after)

    def write(self, batch: Batch) -> None:
        """Write some rows of a first load."""
        assert self.first is not None
        with database_errors():
            self.first.take(batch)

    def compare(self, partly_read: PartlyRead, *, unreported: bool) -> None:
        """Apply the staged rows to the current rows.

        `partly_read`: numbers with an element that could not be read; `unreported`: some rows lack fields, which keep
        their current values.
        """
        if not self._staged.anything:
            return
        with database_errors():
            if unreported:
                diff.fill_unreported(self._connection, self._target.account_id)
            if partly_read:
                partial.keep_unseen(self._connection, self._target.account_id, partly_read)
            first = not self._staged.open_numbers
            self.changes = diff.apply(self._connection, self.stamp, first=first, gone=self._staged.gone)

    def removed_links(self) -> list[Links]:
        """Links that were removed from numbers which stay open, by table; only where they may be too many."""
        with database_errors():
            return list(removed_links(self._connection, self.stamp, self.changes))

    def finish(self, result: AccountResult, found: Findings, incremental: IncrementalState) -> AccountResult:
        """Seal and record. Returns the result with `observed_at`, the counts and the changes filled in.

        `incremental`: fingerprints of this listing, written with its data. Raises `OtherInstallation` when another
        installation bound the warehouse first.
        """
        with database_errors():
            sections = self._sections()
            published = replace(
                result,
                status=AccountStatus.SUCCEEDED,
                observed_at=self.stamp.observed_at,
                account_name=found.facts.account_name,
                timezone=found.facts.timezone,
                chain_digest=self._seal(found.facts, sections),
                changes=self.changes,
                rows_opened=sum(c.opened for c in self.changes.values()),
                rows_closed=sum(c.closed for c in self.changes.values()),
            )
            self._record(published, found, incremental)
            return published

    def _sections(self) -> Iterator[Section]:
        if self.first is None:
            return sections(self._connection, self.stamp, self.changes)
        self.first.complete()
        self.changes = self.first.changes()
        return self.first.sections()

    def _seal(self, facts: AccountFacts, found: Iterable[Section]) -> str:
        link = chain.Link(
            previous=self._digest,
            account_id=self._target.account_id,
            observed=chain.moment(self.stamp.observed_at),
            account_name=facts.account_name,
            timezone=facts.timezone,
        )
        return seal(self._connection, link, self._target.run_id, found)

    def _record(self, published: AccountResult, found: Findings, incremental: IncrementalState) -> None:
        run_id, account_id = self._target.run_id, self._target.account_id
        if self._staged.anything:  # otherwise every record is unchanged, or new
            first_reported.record(self._connection, self.stamp, found.drift)
        findings.save(self._connection, run_id, account_id, found)
        runs.record(self._connection, published)
        incremental.write(self._connection, self.stamp)
        self._target.installation.bind(self._connection, self.stamp.observed_at, run_id)  # last: it blocks others

    def commit(self) -> None:
        """Commit. When the connection breaks meanwhile, the database's own record decides the outcome."""
        target = self._target
        with database_errors():
            commit(target.connection, target.engine, target.run_id, target.account_id, target.pause)
        target.installation.committed()
