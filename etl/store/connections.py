"""One connection for one account after the other: a new one makes PostgreSQL start a process that knows no tables."""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Iterator

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from etl.store.engine import break_off, database_errors


class ConnectionCache:
    """Lends a connection, and keeps it for the next to ask where that is sound. For one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: Connection | None = None

    @contextlib.contextmanager
    def borrow(self) -> Iterator[Connection]:
        """A connection outside of a transaction; whatever was not committed is rolled back at the end.

        It is closed after an error, for what became of it nobody knows, and in SQLite, where opening costs nothing and
        temporary tables go with the connection. Raises what `database_errors` makes of a database that is not there.
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
        """See to it that there is a connection to lend, where one is kept. Raises what `borrow` would raise."""
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
        """Close what is kept."""
        kept, self._kept = self._kept, None
        if kept is not None:
            _close(kept)


def _is_alive(connection: Connection) -> bool:
    """Whether the server still answers: between two accounts nothing protects an idle connection from its limits.

    One that ended the session has said so, and can be heard without being asked: asking takes a round trip.
    """
    dialect = connection.dialect
    try:
        if _is_heard(connection):
            dialect.do_ping(connection.connection.dbapi_connection)  # type: ignore[arg-type]
    except (dialect.loaded_dbapi.Error, DBAPIError):
        connection.invalidate()
        _close(connection)
        return False
    return True


def _is_heard(connection: Connection) -> bool:
    """Whether something came from the server, or its end, that nobody has read."""
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
