"""Connection cache: accounts use one connection in turn, because PostgreSQL starts a process for each new one."""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Iterator

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from etl.store.engine import break_off, database_errors


class ConnectionCache:
    """Lends a connection, and keeps it for the next borrower if it is still usable. For one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: Connection | None = None

    @contextlib.contextmanager
    def borrow(self) -> Iterator[Connection]:
        """A connection outside of a transaction; uncommitted changes are rolled back at the end.

        It is closed after an error, because its state is unknown then, and in SQLite, whose pool keeps one (`pools`)
        and whose temporary tables end with it. Raises the errors of `database_errors` if the database is missing.
        """
        connection = self._take()
        try:
            yield connection
        except BaseException:
            if break_off(connection):
                connection.invalidate()
            _close(connection)
            raise
        self._keep(connection)

    def make_ready(self) -> None:
        """Open a connection in advance, if one would be kept. Raises the errors of `borrow`."""
        if self._kept is None and self._engine.name == "postgresql":
            self._keep(self._take())

    def _take(self) -> Connection:
        kept, self._kept = self._kept, None
        if kept is not None and _is_alive(kept):
            return kept
        with database_errors():
            return self._engine.connect()

    def _keep(self, connection: Connection) -> None:
        if connection.dialect.name == "postgresql" and not connection.invalidated and _rolled_back(connection):
            self._kept = connection
        else:
            _close(connection)

    def close(self) -> None:
        """Close the connection that is kept."""
        kept, self._kept = self._kept, None
        if kept is not None:
            _close(kept)


def _is_alive(connection: Connection) -> bool:
    """Whether the server still answers: between two accounts, its time limits may end an idle connection.

    A server that ended the session has sent a message, which is seen without a ping; a ping costs a round trip.
    """
    dialect = connection.dialect
    try:
        if _has_input(connection):
            dialect.do_ping(connection.connection.dbapi_connection)  # type: ignore[arg-type]
    except (dialect.loaded_dbapi.Error, DBAPIError):
        connection.invalidate()
        _close(connection)
        return False
    return True


def _has_input(connection: Connection) -> bool:
    """Whether unread data, or the end of the stream, came from the server."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection.connection.driver_connection.fileno(), selectors.EVENT_READ)  # type: ignore[union-attr]
        return bool(selector.select(0))


def _rolled_back(connection: Connection) -> bool:
    try:
        connection.rollback()
    except DBAPIError:
        return False
    return True


def _close(connection: Connection) -> None:
    with contextlib.suppress(DBAPIError):
        connection.close()
