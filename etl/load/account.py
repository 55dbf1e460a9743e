"""One account's way into the warehouse: staged while it is listed, then compared and published in one transaction.

A first load is not staged: its rows come when the listing is whole, and are written in that transaction. PostgreSQL
stages and publishes in the same transaction. SQLite has one writer, so staging goes on beside it, and only publishing
takes the writer's turn.
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

WAITING = 10_000
"""Rows that memory holds until they are staged together."""


@cache
def _count() -> Select[int]:
    """How many numbers an account has. Made once: making a statement takes longer than to execute a small one."""
    numbers = schema.current["virtual_numbers"]
    return select(func.count()).where(numbers.c.account_id == bindparam("mine"))


class AccountLoad:
    """An account's rows on their way: stage them, then publish once. `begin`: begins what may go on beside the rest."""

    def __init__(self, target: Target, begin: Begin) -> None:
        self._target, self._connection, self._begin = target, target.connection, begin
        self._numbers = schema.current["virtual_numbers"]
        self._staged = self._analyzed = self._gone = False
        self._waiting: defaultdict[str, list[Row]] = defaultdict(list)

    @cached_property
    def open_numbers(self) -> int:
        """How many of the account's numbers are open in the warehouse; counted when it is first asked for."""
        with database_errors():
            count = int(self._connection.scalar(_count(), {"mine": self._target.account_id}) or 0)
            release_snapshot(self._connection)
        return count

    @cached_property
    def open_ids(self) -> array[int]:
        """The ids of those numbers, ascending."""
        if not self.open_numbers:
            return array("q")
        mine = select(self._numbers.c.virtual_number_id).where(self._numbers.c.account_id == self._target.account_id)
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
            return incremental.remembered(self._connection, self._target.account_id)
        return None

    def never_shown(self, viewer: Viewer, ids: Sequence[int]) -> set[int]:
        """Those of these open numbers that no listing of this viewer held (`shown`)."""
        if not ids:
            return set()
        with database_errors():
            return shown.never_shown(self._connection, self._target.account_id, viewer, ids)

    def stage(self, batch: Batch) -> None:
        """Add rows that were read, by table name; each key once in all calls together."""
        self.stage_rows({name: columns.staged() for name, columns in batch.items()})

    def stage_rows(self, rows: Rows) -> None:
        """The same of rows as they are staged."""
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
            return list(shared_conflicts.contradicted(self._connection, self._target.account_id, unlisted))

    def restage(self, shared: Rows) -> None:
        """Stage these rows that numbers share in place of those that were staged before."""
        with database_errors():
            staging.replace_shared(self._connection, shared)
            self._analyzed = False

    @contextlib.contextmanager
    def publishing(self, now: datetime, gone: Collection[int]) -> Iterator[PublishTransaction]:
        """The transaction that compares what was staged and publishes it; without its `commit` nothing stays.

        `now`: when the listing was whole; `gone`: numbers proven gone. Raises `TryLater` when another run took the
        account over, and what `database_errors` makes of the rest.
        """
        self._put_waiting()
        with threads.turn_to_write(self._connection):
            with database_errors():
                self._stage_gone(gone)
                self._turn_to_writing()
                transaction = self._begun(now)
            yield transaction

    @contextlib.contextmanager
    def publishing_first(self, now: datetime) -> Iterator[PublishTransaction]:
        """The same of an account of which nothing is current: its rows are pushed by `write` in the transaction."""
        with threads.turn_to_write(self._connection):
            with database_errors():
                self._turn_to_writing()
                transaction = self._begun(now)
            with FirstLoad(self._connection, transaction.stamp, self._begin) as transaction.first:
                yield transaction

    @contextlib.contextmanager
    def trying(self, now: datetime, gone: Collection[int]) -> Iterator[PublishTransaction]:
        """A dry run: the same, tried out on temporary copies. No table that others see is written or locked."""
        self._put_waiting()
        with database_errors():
            self._stage_gone(gone)
            if self._staged:
                self._analyze()
                dry_run.shadow(self._connection, self._target.account_id)
            transaction = PublishTransaction(self._target, self._stage_state, now)
        yield transaction

    def _begun(self, now: datetime) -> PublishTransaction:
        runs.consume_claim(self._connection, self._target.run_id, self._target.account_id)
        return PublishTransaction(self._target, self._stage_state, now)

    @property
    def _stage_state(self) -> Staged:
        return Staged(anything=self._staged, gone=self._gone, open_numbers=self.open_numbers)

    def _turn_to_writing(self) -> None:
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
    """What one account's way into the warehouse needs; nothing stays of its rows unless they are published."""
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
