"""Load of one account: its rows are staged during the listing, then compared and published in one transaction.

A first load is not staged: its rows come when the listing is complete, and are written in that transaction. PostgreSQL
stages and publishes in the same transaction. SQLite has one writer, so staging does not take the writer's lock; only
publishing does.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from datetime import datetime
from functools import cache, cached_property
from time import sleep

from sqlalchemy import Engine, Select, bindparam, func, select

from etl.domain.columns import Row
from etl.domain.fingerprints import ListingPrint
from etl.domain.viewer import Viewer
from etl.errors import UnreadableValue
from etl.extract.prefetch import Begin
from etl.load import dry_run, incremental, shared_conflicts, shown, staging
from etl.load.first import Batch, FirstLoad
from etl.load.publish import PublishTransaction, Staged, Target
from etl.load.staging import Rows
from etl.store import runs, schema, threads
from etl.store.connections import ConnectionCache
from etl.store.engine import database_errors, release_snapshot
from etl.store.installations import Installation

STAGED_TOGETHER = 10_000
"""Rows that are buffered in memory until they are staged together."""


@cache
def _count() -> Select[int]:
    """The count of an account's numbers. Cached, because building a small statement takes longer than executing it."""
    numbers = schema.current["virtual_numbers"]
    return select(func.count()).where(numbers.c.account_id == bindparam("mine"))


class AccountLoad:
    """The rows of one account: they are staged, then published once. `begin`: starts work in the background."""

    def __init__(self, target: Target, begin: Begin) -> None:
        self._target, self._connection, self._begin = target, target.connection, begin
        self._numbers = schema.current["virtual_numbers"]
        self._staged = self._analyzed = self._gone = False
        self._buffered: defaultdict[str, list[Row]] = defaultdict(list)

    @cached_property
    def open_numbers(self) -> int:
        """The count of the account's open numbers in the warehouse; counted at the first use."""
        with database_errors():
            count = int(self._connection.scalar(_count(), {"mine": self._target.account_id}) or 0)
            release_snapshot(self._connection)
        return count

    @cached_property
    def open_ids(self) -> array[int]:
        """The ids of the account's open numbers, ascending."""
        if not self.open_numbers:
            return array("q")
        mine = select(self._numbers.c.virtual_number_id).where(self._numbers.c.account_id == self._target.account_id)
        ids = array("q")
        with database_errors():
            found = self._connection.scalars(mine.order_by(self._numbers.c.virtual_number_id))
            for part in found.partitions(10_000):
                ids.extend(part)
            release_snapshot(self._connection)
        return ids

    def remembered(self) -> ListingPrint | None:
        """The fingerprints of the account's last listing. Read `open_numbers` next, or call `release_snapshot`."""
        with contextlib.suppress(UnreadableValue), database_errors():
            return incremental.remembered(self._connection, self._target.account_id)
        return None

    def never_shown(self, viewer: Viewer, ids: Sequence[int]) -> set[int]:
        """The numbers among these open ones that this viewer has never listed (`shown`)."""
        if not ids:
            return set()
        with database_errors():
            return shown.never_shown(self._connection, self._target.account_id, viewer, ids)

    def stage(self, batch: Batch) -> None:
        """Stage decoded rows, by table name. Each key may come only once in all calls together."""
        self.stage_rows({name: columns.staged() for name, columns in batch.items()})

    def stage_rows(self, rows: Rows) -> None:
        """Like `stage`, for rows that already have the form of staged rows."""
        for name, added in rows.items():
            self._buffered[name] += added
        if sum(map(len, self._buffered.values())) >= STAGED_TOGETHER:
            self._flush()

    def _flush(self) -> None:
        """Stage the buffered rows. They are buffered because staging a few rows takes as long as staging many."""
        if not any(self._buffered.values()):
            return
        with database_errors():
            self._make_stage()
            staging.put(self._connection, self._buffered)
        self._buffered.clear()
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
        """Current shared rows that differ from the staged ones although skipped, unchanged records refer to them.

        `unlisted`: open numbers without a usable record in the listing.
        """
        self._flush()
        if not self._staged:
            return []
        with database_errors():
            self._analyze()
            return list(shared_conflicts.contradicted(self._connection, self._target.account_id, unlisted))

    def restage(self, shared: Rows) -> None:
        """Replace the staged rows of the shared tables with these."""
        with database_errors():
            staging.replace_shared(self._connection, shared)
            self._analyzed = False

    @contextlib.contextmanager
    def publishing(self, now: datetime, gone: Collection[int]) -> Iterator[PublishTransaction]:
        """The transaction that compares the staged rows and publishes them; it is rolled back without its `commit`.

        `now`: when the listing was complete; `gone`: numbers that are proven gone. Raises `TryLater` when another run
        took the account over, and the errors of `database_errors`.
        """
        self._flush()
        with threads.turn_to_write(self._connection):
            with database_errors():
                self._stage_gone(gone)
                self._begin_writing()
                transaction = self._begin_transaction(now)
            yield transaction

    @contextlib.contextmanager
    def publishing_first(self, now: datetime) -> Iterator[PublishTransaction]:
        """The publishing transaction of an account without current rows: `write` pushes its rows into it."""
        with threads.turn_to_write(self._connection):
            with database_errors():
                self._begin_writing()
                transaction = self._begin_transaction(now)
            with FirstLoad(self._connection, transaction.stamp, self._begin) as transaction.first:
                yield transaction

    @contextlib.contextmanager
    def trying(self, now: datetime, gone: Collection[int]) -> Iterator[PublishTransaction]:
        """The transaction of a dry run, on temporary copies: no table that others can see is written or locked."""
        self._flush()
        with database_errors():
            self._stage_gone(gone)
            if self._staged:
                self._analyze()
                dry_run.shadow(self._connection, self._target.account_id)
            transaction = PublishTransaction(self._target, self._stage_state, now)
        yield transaction

    def _begin_transaction(self, now: datetime) -> PublishTransaction:
        runs.consume_claim(self._connection, self._target.run_id, self._target.account_id)
        return PublishTransaction(self._target, self._stage_state, now)

    @property
    def _stage_state(self) -> Staged:
        return Staged(anything=self._staged, gone=self._gone, open_numbers=self.open_numbers)

    def _begin_writing(self) -> None:
        if self._connection.dialect.name == "sqlite":
            self._connection.commit()
            self._connection.execution_options(sqlite_begin="immediate").begin()
        elif self._staged and self.open_numbers:
            self._analyze()


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
    """The load of one account, on a connection of its own; its rows are discarded unless they are published."""
    with connection_cache.borrow() as connection:
        target = Target(
            connection=connection,
            engine=engine,
            installation=installation,
            account_id=account_id,
            run_id=run_id,
            pause=pause,
        )
        yield AccountLoad(target, begin)
