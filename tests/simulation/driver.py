"""The database's driver, with the simulation's hand on it: every statement and every commit is a point to yield at."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sqlalchemy import Engine, event


class Watcher(Protocol):
    """Who is told of what a connection does, and may raise in its place."""

    def statement(self, sql: str) -> None:
        """A statement is about to be executed."""
        ...

    def committing(self) -> None:
        """A commit is about to happen."""
        ...

    def committed(self) -> None:
        """A commit has happened; nobody has been told yet."""
        ...


class SimCursor(sqlite3.Cursor):
    """A cursor that yields before each statement."""

    def execute(self, sql: str, parameters: Any = (), /) -> SimCursor:
        """Yield, then execute."""
        self.connection.watcher.statement(sql)  # type: ignore[attr-defined]
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> SimCursor:
        """Yield, then execute."""
        self.connection.watcher.statement(sql)  # type: ignore[attr-defined]
        return super().executemany(sql, parameters)


class SimConnection(sqlite3.Connection):
    """A connection that belongs to a watcher."""

    watcher: Watcher

    def cursor(self, factory: Any = SimCursor) -> Any:
        """A cursor of ours."""
        return super().cursor(SimCursor)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Yield, then execute: the way in which rows are staged."""
        self.watcher.statement(sql)
        return super().executemany(sql, parameters)

    def commit(self) -> None:
        """Yield before and after."""
        if not self.in_transaction:
            return
        self.watcher.committing()
        super().commit()
        self.watcher.committed()


def watch(engine: Engine, current: Callable[[], Watcher]) -> None:
    """Give the engine's new connections to whoever is `current`; a busy database answers at once instead of later."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, arguments: Any, parameters: Any) -> SimConnection:
        options = {**parameters, "timeout": 0, "factory": SimConnection}
        connection: SimConnection = sqlite3.connect(*arguments, **options)
        connection.watcher = current()
        return connection


def failure(name: str, words: str) -> sqlite3.OperationalError:
    """An error as SQLite's driver raises it."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorname = name
    return error
