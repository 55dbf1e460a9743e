"""Pool of SQLite's connections: each is closed after use, except during a run, in which one is kept for the next user.

SQLite reads the whole schema on a new connection, 2 to 3 ms of processor time; a run takes nine, one after the other.
Between runs none is open: whoever restores a backup then replaces the file, and not its name alone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from sqlalchemy import Engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool


class KeepingPool(NullPool):
    """Closes connections when they are returned, and keeps one while `keeping` lasts. For any threads."""

    _levels: tuple[list[ConnectionPoolEntry], ...] = ()

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep a connection for the length of the block. Blocks may be nested; each keeps its own."""
        level: list[ConnectionPoolEntry] = []
        self._levels = (*self._levels, level)
        try:
            yield
        finally:
            self._levels = tuple(one for one in self._levels if one is not level)
            for record in level:
                record.close()

    def _do_get(self) -> ConnectionPoolEntry:
        with contextlib.suppress(IndexError):  # none is kept, or another thread takes it
            record = self._levels[-1].pop()
            if _is_as_new(record):
                return record
            record.close()
        record = super()._do_get()
        record.info.update({_FILE: _file_of(record), _CHANGES: 0})
        return record

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        kept = self._levels[-1] if self._levels else None
        if kept is None or kept or not (_is_as_new(record) and _left_nothing(record)):
            super()._do_return_conn(record)
        else:
            kept.append(record)


_FILE, _CHANGES = "file", "changes"
_File = tuple[str, int, int]
"""A file's path, device and number."""


def _is_as_new(record: ConnectionPoolEntry) -> bool:
    """Whether a connection is as a new one: to the file that is there now, without temporary tables or transaction."""
    connection = record.dbapi_connection
    if not isinstance(connection, sqlite3.Connection) or connection.in_transaction:
        return False
    try:
        temporary = connection.execute("select 1 from temp.sqlite_master limit 1").fetchone()
    except sqlite3.Error:
        return False
    return temporary is None and record.info.get(_FILE) is not None and record.info[_FILE] == _file_of(record)


def _left_nothing(record: ConnectionPoolEntry) -> bool:
    """Whether what the connection wrote is in the file, and nothing of it in the write-ahead log, as after a close.

    The log is found by the file's name: if somebody replaces the file during the run, what is in it would become part
    of the other one. Nobody is waited for; a connection that others keep from finishing is closed.
    """
    connection = record.dbapi_connection
    assert isinstance(connection, sqlite3.Connection)
    if connection.total_changes == record.info.get(_CHANGES):
        return True
    try:
        (patience,) = connection.execute("pragma busy_timeout").fetchone()
        connection.execute("pragma busy_timeout=0").fetchall()
        (busy, _, _) = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        connection.execute(f"pragma busy_timeout={int(patience)}").fetchall()
    except sqlite3.Error:
        return False
    record.info[_CHANGES] = connection.total_changes
    return bool(busy == 0)


def _file_of(record: ConnectionPoolEntry) -> _File | None:
    """The file at the connection's path; None if there is none, or if it cannot be seen."""
    connection = record.dbapi_connection
    try:
        (_, _, path) = connection.execute("pragma database_list").fetchone()  # type: ignore[union-attr]
        found = os.stat(path)
    except (OSError, sqlite3.Error):
        return None
    return path, found.st_dev, found.st_ino


def keeping(engine: Engine) -> contextlib.AbstractContextManager[None]:
    """Context in which a connection of the engine is kept; PostgreSQL's are lent by `connections.ConnectionCache`."""
    return engine.pool.keeping() if isinstance(engine.pool, KeepingPool) else contextlib.nullcontext()
