"""The first load of an account: there is nothing to compare with, so its rows go straight into the current tables.

That needs the moment of the observation before the first row is written, so the listing is whole by then. What the
seal digests is made of the same rows on their way; only where they did not come in the order of their keys, it is read
back (`seal`). While PostgreSQL takes a batch, the next one is made ready.
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
"""Rows by the name of their table."""
Work = Callable[[], None]
Prepared = Callable[[Any, Columns, PublicationStamp], Work]
"""Makes columns ready for a driver to write."""
T = TypeVar("T")
LOOK, LOOKS = 0.25, 20
"""Seconds after which it is looked whether a statement that was broken off has ended, and how often."""


class FirstLoad:
    """Takes an account's rows, each key once in all calls together; none of its rows may be current.

    `begin`: begins to send a batch to PostgreSQL. SQLite works in this process, so nothing goes on beside it.
    """

    def __init__(self, connection: Connection, stamp: PublicationStamp, begin: Begin) -> None:
        self._connection, self._stamp = connection, stamp
        served = connection.dialect.name == "postgresql"
        self._prepared: Prepared = _copy if served else _insert
        self._in_turn = _InTurn(begin if served else _at_once, partial(break_off, connection))
        self._sealed = {table.name: _Sealed() for table in declared.TABLES}

    def __enter__(self) -> FirstLoad:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._in_turn.abandon()

    def take(self, batch: Batch) -> None:
        """Write the rows of a batch; what the database refuses may be raised by the next call."""
        driver: Any = self._connection.connection.driver_connection
        self._in_turn.begin(partial(_do, [self._prepared(driver, c, self._stamp) for c in batch.values()]))
        for name, columns in batch.items():
            self._sealed[name].take(columns)

    def complete(self) -> None:
        """Wait until all rows are written."""
        self._in_turn.wait()

    def changes(self) -> dict[str, TableChange]:
        """How many versions were opened, by table name."""
        return {name: TableChange(opened=sealed.lines.versions) for name, sealed in self._sealed.items()}

    def sections(self) -> Iterator[Section]:
        """What was opened, for the seal, in the order of the tables."""
        for table in declared.TABLES:
            sealed = self._sealed[table.name]
            if sealed.lines.versions and sealed.in_order:
                yield sealed.lines.section(table.name, Change.OPENED)
            elif sealed.lines.versions:
                yield section(self._connection, table, Change.OPENED, self._stamp)


class _Sealed:
    """The lines of one table so far, and whether they came in the order of their keys."""

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
    return partial(bulk.insert, driver, into, f"({'?, ' * len(names)}{rest})", columns.tuples(names))


# -- work that goes on beside ours, one piece after the other: a connection takes one thing at a time


def _do(works: Iterable[Work]) -> None:
    for work in works:
        work()


def _at_once(work: Callable[[], T], /) -> Callable[[], T]:
    done = work()
    return lambda: done


class _InTurn:
    """Begins each piece of work when the one before it is done."""

    def __init__(self, begin: Begin, break_off: Callable[[], object]) -> None:
        self._begin, self._break_off = begin, break_off
        self._sending: _Sending | None = None
        self._outcome: Work = _nothing

    def begin(self, work: Work) -> None:
        """Begin this piece; raises what the one before it ended with."""
        self.wait()
        self._sending = _Sending(work)
        self._outcome = self._begin(self._sending)

    def wait(self) -> None:
        """Wait for the piece under way; raises what it ended with."""
        outcome, self._outcome = self._outcome, _nothing
        outcome()

    def abandon(self) -> None:
        """End the piece under way, unless the server cannot be reached: whoever cleans up needs the connection."""
        if self._sending is not None and self._sending.begun_and_not_over():
            for _ in range(LOOKS):  # a server that has not begun a statement yet does not hear that it is broken off
                self._break_off()
                if self._sending.over.wait(LOOK):
                    break


def _nothing() -> None: ...


class _Sending:
    """A piece of work that can be called off as long as it has not begun."""

    def __init__(self, work: Work) -> None:
        self._work, self._turn = work, threading.Lock()
        self._begun = self._called_off = False
        self.over = threading.Event()

    def __call__(self) -> None:
        with self._turn:
            if self._called_off:
                return
            self._begun = True
        try:
            self._work()
        finally:
            self.over.set()

    def begun_and_not_over(self) -> bool:
        """Whether somebody is at it; if nobody is, nobody will be."""
        with self._turn:
            self._called_off = True
            return self._begun and not self.over.is_set()
