"""Database driver of the simulation: every statement and every commit is a point where other processes may run."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sqlalchemy import Engine, event


class Watcher(Protocol):
    """Receives each action of a connection, and may raise in its place."""

    def connected(self, connection: sqlite3.Connection) -> None:
        """Called with a new connection."""
        ...

    def statement(self, sql: str) -> None:
        """Called before a statement."""
        ...

    def committing(self) -> None:
        """Called before a commit."""
        ...

    def committed(self) -> None:
        """Called after a commit, before the pipeline learns of it."""
        ...


def _watcher(cursor: sqlite3.Cursor) -> Watcher:
    assert isinstance(cursor.connection, SimConnection)
    return cursor.connection.watcher


class SimCursor(sqlite3.Cursor):
    """A cursor that calls the watcher before each statement."""

    def execute(self, sql: str, parameters: Any = (), /) -> SimCursor:
        """Call the watcher, then execute."""
        _watcher(self).statement(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> SimCursor:
        """Call the watcher, then execute."""
        _watcher(self).statement(sql)
        return super().executemany(sql, parameters)


class SimConnection(sqlite3.Connection):
    """A connection that belongs to a watcher."""

    watcher: Watcher

    def cursor(self, factory: Any = SimCursor) -> Any:
        """A `SimCursor`."""
        return super().cursor(SimCursor)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Call the watcher, then execute: staging uses this way."""
        self.watcher.statement(sql)
        return super().executemany(sql, parameters)

    def commit(self) -> None:
        """Call the watcher before and after the commit."""
        if not self.in_transaction:
            return
        self.watcher.committing()
        super().commit()
        self.watcher.committed()


def watch(engine: Engine, current: Callable[[], Watcher]) -> None:
    """Give the engine's new connections to the `current` watcher; a busy database fails at once, without waiting."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, arguments: Any, parameters: Any) -> SimConnection:
        options = {**parameters, "timeout": 0, "factory": SimConnection}
        connection: SimConnection = sqlite3.connect(*arguments, **options)
        connection.watcher = current()
        connection.watcher.connected(connection)
        return connection


def failure(name: str, words: str) -> sqlite3.OperationalError:
    """An error as SQLite's driver raises it."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorname = name
    return error
