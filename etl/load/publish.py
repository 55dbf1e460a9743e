"""One account's way into the warehouse: staged while it is listed, then compared and published in one transaction.

A first load is not staged: its rows come when the listing is whole, and are written in that transaction. PostgreSQL
stages and publishes in the same transaction. SQLite has one writer, so staging goes on beside it, and only publishing
takes the writer's turn.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from time import sleep
from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, func, select

import etl
from etl.domain import chain
from etl.domain.chain import Section
from etl.domain.columns import Row
from etl.domain.fingerprints import ListingPrint
from etl.domain.guard import Guard, Links
from etl.domain.runs import AccountResult, AccountStatus, TableChange
from etl.errors import Held, UnreadableValue
from etl.extract.prefetch import Begin
from etl.load import diff, dry_run, findings, first_reported, partial, shared_conflicts, staging
from etl.load.commit import commit
from etl.load.diff import PublicationStamp
from etl.load.findings import AccountFacts, Told
from etl.load.first import Batch, FirstLoad
from etl.load.incremental import IncrementalState
from etl.load.partial import PartlyRead
from etl.load.seal import seal, sections
from etl.load.staging import Rows
from etl.load.unlinking import removed_links
from etl.store import fingerprints, runs, schema, threads
from etl.store.connections import ConnectionCache
from etl.store.engine import database_errors, release_snapshot
from etl.store.fingerprints import Origin
from etl.store.installations import Installation
from etl.transform.normalize import ROWS_VERSION

VERSION = f"{etl.__version__}/{ROWS_VERSION}"
"""What made rows of the records: another version makes other rows, so it reads every record anew."""
TICK = timedelta(microseconds=1)
WAITING = 10_000
"""Rows that memory holds until they are staged together."""

Written = tuple[dict[str, TableChange], Iterable[Section]]
"""How many versions were opened and closed, by table name, and what the seal is made of."""


@cache
def _count() -> Select[int]:
    """How many numbers an account has. Made once: making a statement takes longer than to execute a small one."""
    numbers = schema.current["virtual_numbers"]
    return select(func.count()).where(numbers.c.account_id == bindparam("mine"))


@cache
def _last_sync() -> Select[Any]:
    """The account's last moment and its digest."""
    syncs = schema.account_syncs
    mine = (syncs.c.account_id == bindparam("mine")) & (syncs.c.observed_at.is_not(None))
    return select(syncs.c.observed_at, syncs.c.chain_digest).where(mine).order_by(syncs.c.observed_at.desc()).limit(1)


class AccountLoad:
    """An account's rows on their way: stage them, then publish once. `begin`: begins what may go on beside the rest."""

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        installation: Installation,
        account_id: int,
        run_id: int,
        *,
        pause: Callable[[float], None],
        begin: Begin,
    ) -> None:
        self._connection, self._engine, self._pause, self._begin = connection, engine, pause, begin
        self._account_id, self._run_id, self._installation = account_id, run_id, installation
        self.previous: datetime | None = None
        """The account's last observation before the one that is being published."""
        self._numbers = schema.current["virtual_numbers"]
        self._staged = self._analyzed = self._gone = False
        self._waiting: defaultdict[str, list[Row]] = defaultdict(list)

    @cached_property
    def open_numbers(self) -> int:
        """How many of the account's numbers are open in the warehouse; counted when it is first asked for."""
        with database_errors():
            count = int(self._connection.scalar(_count(), {"mine": self._account_id}) or 0)
            release_snapshot(self._connection)
        return count

    @cached_property
    def open_ids(self) -> array[int]:
        """The ids of those numbers, ascending."""
        if not self.open_numbers:
            return array("q")
        mine = select(self._numbers.c.virtual_number_id).where(self._numbers.c.account_id == self._account_id)
        ids = array("q")
        with database_errors():
            found = self._connection.scalars(mine.order_by(self._numbers.c.virtual_number_id))
            for some in found.partitions(10_000):
                ids.extend(some)
            release_snapshot(self._connection)
        return ids

    def remembered(self) -> ListingPrint | None:
        """What may be remembered of the account's last listing; its numbers are counted next, or `release_snapshot`."""
        with contextlib.suppress(UnreadableValue), database_errors():
            return fingerprints.read(self._connection, self._account_id, VERSION)
        return None

    def stage(self, rows: Rows) -> None:
        """Add rows that were read, by table name; each key once in all calls together."""
        for name, some in rows.items():
            self._waiting[name] += some
        if sum(map(len, self._waiting.values())) >= WAITING:
            self._put_waiting()

    def _put_waiting(self) -> None:
        """Stage the rows that waited for more of them: few at a time take as long as many."""
        if not any(self._waiting.values()):
            return
        with database_errors():
            self._make_stage()
            staging.put(self._connection, self._waiting)
        self._waiting.clear()
        self._analyzed = False

    def _analyze(self) -> None:
        if not self._analyzed:
            staging.analyze(self._connection)
            self._analyzed = True

    def _make_stage(self) -> None:
        if not self._staged:
            staging.create(self._connection)
            self._staged = True

    def _stage_gone(self, gone: Collection[int]) -> None:
        if gone:
            self._make_stage()
            staging.put_gone(self._connection, gone)
            self._gone = True

    def contradicted(self, unlisted: Set[int | None]) -> list[tuple[str, Row]]:
        """Current rows that numbers share, of which staged rows say something else than records that were not read.

        `unlisted`: open numbers of which no usable record was listed.
        """
        self._put_waiting()
        if not self._staged:
            return []
        with database_errors():
            self._analyze()
            return list(shared_conflicts.contradicted(self._connection, self._account_id, unlisted))

    def restage(self, shared: Rows) -> None:
        """Stage these rows that numbers share in place of those that were staged before."""
        with database_errors():
            staging.replace_shared(self._connection, shared)
            self._analyzed = False

    def publish(
        self,
        told: Callable[[], Told],
        *,
        now: datetime,
        gone: Collection[int],
        partly_read: PartlyRead,
        memory: IncrementalState,
        rows: Iterable[Batch] | None = None,
        guard: Guard | None = None,
        last_word: Callable[[AccountResult], None] = lambda _: None,
    ) -> AccountResult:
        """Compare, write and commit; the result with `observed_at`, the counts and the changes filled in.

        `now`: when the listing was whole; `gone`: numbers proven gone; `partly_read`: numbers with an element that
        could not be read; `memory`: of this listing, to be written with its data; `rows`: all rows of a first load,
        where they were not staged; `guard`: limits the links that close (None: an operator approved); `told`: is asked
        when the rows were taken; `last_word`: is told of the result before the commit, and may raise to prevent it.
        Raises `TryLater` when another run took the account over, `Held` when too many links would close,
        `OtherInstallation` when another one bound the warehouse first, and what `database_errors` makes of the rest.
        """
        self._put_waiting()
        with database_errors(), threads.turn_to_write(self._connection):
            self._stage_gone(gone)
            self._turn_to_writing()
            runs.consume_claim(self._connection, self._run_id, self._account_id)
            published = self._write(told, now, partly_read, rows, guard)
            memory.write(self._connection, self._account_id, self._origin(published))
            last_word(published)
            commit(self._connection, self._engine, self._run_id, self._account_id, self._pause)
            self._installation.committed()
            return published

    def dry_run(
        self, *, now: datetime, gone: Collection[int], partly_read: PartlyRead, unreported: bool
    ) -> tuple[dict[str, TableChange], list[Links]]:
        """What `publish` would open and close, by table, and the links that it would remove.

        Tried out on temporary copies: no table that others see is written or locked, and nothing stays.
        """
        self._put_waiting()
        with database_errors():
            self._stage_gone(gone)
            if not self._staged:
                return diff.no_changes(), []
            self._analyze()
            dry_run.shadow(self._connection, self._account_id)
            self._complete_stage(partly_read, unreported=unreported)
            self.previous, _ = self._last_link()
            moment = PublicationStamp(self._account_id, self._run_id, self._next_moment(now))
            changes = self._changes(moment)
            return changes, list(removed_links(self._connection, moment, changes))

    def _next_moment(self, now: datetime) -> datetime:
        """`now`, or just after the account's last moment: whatever the clock does, time does not go back."""
        after = now if self.previous is None else max(now, self.previous + TICK)
        return max(after, self._installation.since or after)

    def _origin(self, published: AccountResult) -> Origin:
        assert published.observed_at is not None
        return Origin(run_id=self._run_id, observed_at=published.observed_at, version=VERSION)

    def _turn_to_writing(self) -> None:
        if self._connection.dialect.name == "sqlite":
            self._connection.commit()
            self._connection.execution_options(sqlite_begin="immediate").begin()
        elif self._staged and self.open_numbers:
            self._analyze()

    def _write(
        self,
        told: Callable[[], Told],
        now: datetime,
        partly_read: PartlyRead,
        rows: Iterable[Batch] | None,
        guard: Guard | None,
    ) -> AccountResult:
        self.previous, digest = self._last_link()
        moment = PublicationStamp(self._account_id, self._run_id, self._next_moment(now))
        changes, sections = self._compared(told, moment, partly_read) if rows is None else self._loaded(rows, moment)
        self._refuse_unlinking(guard, moment, changes)
        known = told()
        facts = known.findings.facts
        published = replace(
            known.result,
            status=AccountStatus.SUCCEEDED,
            observed_at=moment.observed_at,
            account_name=facts.account_name,
            timezone=facts.timezone,
            chain_digest=self._seal(digest, moment.observed_at, facts, sections),
            changes=changes,
            rows_opened=sum(c.opened for c in changes.values()),
            rows_closed=sum(c.closed for c in changes.values()),
        )
        if self._staged:  # else every record is as before, or new
            first_reported.record(self._connection, moment, known.findings.drift)
        findings.save(self._connection, self._run_id, self._account_id, known.findings)
        runs.record(self._connection, published)
        self._installation.bind(self._connection, moment.observed_at, self._run_id)  # last: other first accounts wait
        return published

    def _compared(self, told: Callable[[], Told], moment: PublicationStamp, partly_read: PartlyRead) -> Written:
        """What was staged against what is current."""
        self._complete_stage(partly_read, unreported=told().unreported)
        changes = self._changes(moment)
        return changes, sections(self._connection, moment, changes)

    def _refuse_unlinking(self, guard: Guard | None, moment: PublicationStamp, changes: dict[str, TableChange]) -> None:
        if guard is None:
            return
        for links in removed_links(self._connection, moment, changes):
            if objection := guard.objection_to_links(links):
                raise held(self._account_id, objection)

    def _complete_stage(self, partly_read: PartlyRead, *, unreported: bool) -> None:
        """Give the staged rows what the source did not report, or reported unreadably, as it is known."""
        if unreported:
            diff.fill_unreported(self._connection, self._account_id)
        if partly_read:
            partial.keep_unseen(self._connection, self._account_id, partly_read)

    def _loaded(self, rows: Iterable[Batch], moment: PublicationStamp) -> Written:
        """The first load: nothing is current."""
        load = FirstLoad(self._connection, moment, self._begin)
        load.take(rows)
        return load.changes(), load.sections()

    def _changes(self, moment: PublicationStamp) -> dict[str, TableChange]:
        if not self._staged:
            return diff.no_changes()
        return diff.apply(self._connection, moment, first=not self.open_numbers, gone=self._gone)

    def _last_link(self) -> tuple[datetime | None, str | None]:
        """The account's last moment, which the next one must pass whatever the clock does, and its digest."""
        row = self._connection.execute(_last_sync(), {"mine": self._account_id}).first()
        return (None, None) if row is None else (row.observed_at, row.chain_digest)

    def _seal(self, previous: str | None, observed_at: datetime, facts: AccountFacts, found: Iterable[Section]) -> str:
        link = chain.Link(
            previous=previous,
            account_id=self._account_id,
            observed=chain.moment(observed_at),
            account_name=facts.account_name,
            timezone=facts.timezone,
        )
        return seal(self._connection, link, self._run_id, found)


def held(account_id: int, objection: str) -> Held:
    """The error for an account that the guard holds."""
    command = f"vnsync sync --account {account_id} --approve-close {account_id}"
    return Held(objection, remedy=f"If that is right, run `{command}`")


@contextlib.contextmanager
def open_load(
    connection_cache: ConnectionCache,
    engine: Engine,
    installation: Installation,
    account_id: int,
    run_id: int,
    begin: Begin,
    *,
    pause: Callable[[float], None] = sleep,
) -> Iterator[AccountLoad]:
    """What one account's way into the warehouse needs; nothing stays of its rows unless they are published."""
    with connection_cache.borrow() as connection:
        yield AccountLoad(connection, engine, installation, account_id, run_id, pause=pause, begin=begin)
