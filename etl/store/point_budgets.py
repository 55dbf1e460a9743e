"""Budgets of API points that processes share: a row for each token, changed in short transactions of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from etl.domain.ports import Clock
from etl.store import schema, threads
from etl.store.engine import database_errors
from etl.store.locks import hold_schema
from etl.store.upsert import insert_new

ROSTER_AGE = timedelta(minutes=10)
"""How long a roster is used by the processes of one fleet, which begin together."""
LEASE = timedelta(seconds=60)
"""How long others wait for the process that asks for the roster; then it is taken for dead."""


class Lease(Enum):
    """What a process does that finds no roster: ask for it, or wait for the process that does."""

    TAKEN = "taken"
    OTHERS = "others"


class PointBudget:
    """Row of one token. `named`: the token's name among known ones, or a new one (`Session.credential`)."""

    def __init__(self, engine: Engine, clock: Clock, named: Callable[[Iterable[str]], str]) -> None:
        self._engine, self._clock = engine, clock
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        with self._transaction() as connection:
            self._name = _named(connection, named)

    def change(self, apply: Callable[[str, float], str]) -> None:
        """Replace the state by what `apply` makes of it and of the time in seconds; nobody else changes it then."""
        with self._transaction() as connection:
            now, row = self._row(connection)
            self._set(connection, state=apply(row.state, now.timestamp()))

    # -- the roster

    def roster(self) -> str | Lease:
        """The roster that a process of this token asked for lately, or what to do to get one."""
        with self._transaction() as connection:
            now, row = self._row(connection)
            if row.roster is not None and now - row.roster_at <= ROSTER_AGE:
                return str(row.roster)
            if row.leased_until is not None and row.leased_until > now:
                return Lease.OTHERS
            self._set(connection, leased_until=now + LEASE)
            return Lease.TAKEN

    def keep_roster(self, roster: str | None) -> None:
        """Keep the roster for others; None: it could not be asked for, so that another process tries."""
        with self._transaction() as connection:
            now, _ = self._row(connection)
            if roster is None:
                self._set(connection, leased_until=None)
            else:
                self._set(connection, roster=roster, roster_at=now, leased_until=None)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    # -- the row

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A writing transaction on a connection of its own, which is kept: each request takes three of them."""
        with self._lock, database_errors(), threads.turn_to_write(self._engine):
            try:
                connection = self._connected()
                with connection.begin():
                    yield connection
            except DBAPIError as exc:
                if exc.connection_invalidated:
                    self._connection = None
                raise

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(sqlite_begin="immediate")
        return self._connection

    def _row(self, connection: Connection) -> tuple[datetime, Row[Any]]:
        """The time, which on PostgreSQL is the server's for all machines, and the row, locked until the commit."""
        rows = schema.point_budgets
        mine = select(rows).where(rows.c.credential == self._name).with_for_update()
        row = connection.execute(mine).first()
        if row is None:  # the table was emptied
            insert_new(connection, rows, {"credential": self._name, "state": ""})
            row = connection.execute(mine).one()
        if connection.dialect.name == "sqlite":
            return self._clock.now(), row
        return datetime.fromtimestamp(float(connection.scalar(_CLOCK)), UTC), row

    def _set(self, connection: Connection, **values: Any) -> None:
        rows = schema.point_budgets
        connection.execute(update(rows).where(rows.c.credential == self._name).values(values))


_CLOCK = text("select extract(epoch from clock_timestamp())")


def _named(connection: Connection, named: Callable[[Iterable[str]], str]) -> str:
    """Name of the token's row, which is made if there is none; one process after the other."""
    rows = schema.point_budgets
    hold_schema(connection)
    known = list(connection.scalars(select(rows.c.credential)))
    name = named(known)
    if name not in known:
        connection.execute(insert(rows), {"credential": name, "state": ""})
    return name
