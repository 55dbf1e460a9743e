"""First load of an account: there are no rows to compare with, so its rows are written to the current tables directly.

The moment of the observation must be known before the first row is written, so the listing is complete by then. The
seal is computed from the same rows while they are written; only a table whose rows did not come in the order of their
keys is read back (`seal`). While PostgreSQL writes a batch, the next one is prepared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from etl.domain import chain
from etl.domain import tables as declared
from etl.domain.chain import Change, Lines, Section
from etl.domain.columns import Columns
from etl.domain.runs import TableChange
from etl.extract.prefetch import Begin
from etl.load import bulk
from etl.load.diff import PublicationStamp
from etl.load.seal import section
from etl.store.engine import break_off

Batch = Mapping[str, Columns]
"""Rows by table name."""
Work = Callable[[], None]
Prepared = Callable[[Any, Columns, PublicationStamp], Work]
"""Function that prepares columns for a driver: the work that it returns writes them."""
T = TypeVar("T")
CHECK_PAUSE, CHECKS = 0.25, 20
"""Seconds between two checks whether a cancelled statement has ended, and how many checks are made."""


class FirstLoad:
    """Writer of an account's first rows. Each key may come only once in all calls; no row of it may be current.

    `begin`: starts sending a batch to PostgreSQL in the background. SQLite runs in this process and writes at once.
    """

    def __init__(self, connection: Connection, stamp: PublicationStamp, begin: Begin) -> None:
        self._connection, self._stamp = connection, stamp
        postgresql = connection.dialect.name == "postgresql"
        self._prepared: Prepared = _copy if postgresql else _insert
        self._sender = _SerialWork(begin if postgresql else _immediately, partial(break_off, connection))
        self._seal_lines = {table.name: _SealLines() for table in declared.TABLES}

    def __enter__(self) -> FirstLoad:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._sender.abandon()

    def take(self, batch: Batch) -> None:
        """Write the rows of a batch. An error of the database may be raised by the next call."""
        driver: Any = self._connection.connection.driver_connection
        self._sender.begin(partial(_do, [self._prepared(driver, c, self._stamp) for c in batch.values()]))
        for name, columns in batch.items():
            self._seal_lines[name].take(columns)

    def complete(self) -> None:
        """Wait until all rows are written."""
        self._sender.wait()

    def changes(self) -> dict[str, TableChange]:
        """How many versions were opened, by table name."""
        return {name: TableChange(opened=sealed.lines.versions) for name, sealed in self._seal_lines.items()}

    def sections(self) -> Iterator[Section]:
        """The sections of opened versions for the seal, in the order of the declared tables."""
        for table in declared.TABLES:
            sealed = self._seal_lines[table.name]
            if sealed.lines.versions and sealed.in_order:
                yield sealed.lines.section(table.name, Change.OPENED)
            elif sealed.lines.versions:
                yield section(self._connection, table, Change.OPENED, self._stamp)


class _SealLines:
    """The seal's lines of one table so far, and whether they came in the order of their keys."""

    def __init__(self) -> None:
        self.lines, self.in_order = Lines(), True
        self._last: tuple[int, ...] | None = None

    def take(self, columns: Columns) -> None:
        self.in_order &= self._last is None or self._last < columns.first
        self._last = columns.last
        self.lines.extend_by(columns.opened(), columns.values(columns.table.key_names[0]))


def _copy(driver: Any, columns: Columns, stamp: PublicationStamp) -> Work:
    names = [c.name for c in columns.table.columns]
    begin = f"{stamp.account_id}\t"
    end = f"\t{chain.moment(stamp.observed_at)}+00\t{stamp.run_id}\n"
    into = f"{columns.table.name} (account_id, {', '.join(names)}, valid_from, opened_run_id)"
    return partial(bulk.copy_text, driver, into, f"{begin}{(end + begin).join(columns.copied())}{end}")


def _insert(driver: Any, columns: Columns, stamp: PublicationStamp) -> Work:
    names = columns.used
    rest = f"'{chain.moment(stamp.observed_at)}', {stamp.account_id}, {stamp.run_id}"
    into = f"{columns.table.name} ({', '.join(names)}, valid_from, account_id, opened_run_id)"
    return partial(bulk.insert, driver, into, f"({'?, ' * len(names)}{rest})", columns.rows(names), len(columns))


# -- background work, one piece after the other, because a connection executes one statement at a time


def _do(works: Iterable[Work]) -> None:
    for work in works:
        work()


def _immediately(work: Callable[[], T], /) -> Callable[[], T]:
    done = work()
    return lambda: done


class _SerialWork:
    """Starts each piece of work after the previous one has ended."""

    def __init__(self, begin: Begin, break_off: Callable[[], object]) -> None:
        self._begin, self._break_off = begin, break_off
        self._task: _Task | None = None
        self._outcome: Work = _nothing

    def begin(self, work: Work) -> None:
        """Start this piece. Raises the error of the previous one."""
        self.wait()
        self._task = _Task(work)
        self._outcome = self._begin(self._task)

    def wait(self) -> None:
        """Wait for the running piece. Raises its error."""
        outcome, self._outcome = self._outcome, _nothing
        outcome()

    def abandon(self) -> None:
        """End the running piece if the server can be reached, because the rollback needs the connection."""
        if self._task is not None and self._task.running_else_cancel():
            for _ in range(CHECKS):  # a server ignores a cancel request that arrives before the statement
                self._break_off()
                if self._task.over.wait(CHECK_PAUSE):
                    break


def _nothing() -> None: ...


class _Task:
    """A piece of work that can be cancelled until it has begun."""

    def __init__(self, work: Work) -> None:
        self._work, self._turn = work, threading.Lock()
        self._begun = self._cancelled = False
        self.over = threading.Event()

    def __call__(self) -> None:
        with self._turn:
            if self._cancelled:
                return
            self._begun = True
        try:
            self._work()
        finally:
            self.over.set()

    def running_else_cancel(self) -> bool:
        """Whether the work is running. If it has not begun, it is cancelled and never begins."""
        with self._turn:
            self._cancelled = True
            return self._begun and not self.over.is_set()
