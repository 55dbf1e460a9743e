"""Inserts of one row, some for keys that may be taken, by the same statement in the connection's dialect.

The statements are built once: building one takes longer than executing it.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Table, insert

Row = dict[str, Any]


def insert_row(connection: Connection, table: Table, row: Row) -> None:
    """Insert `row`."""
    connection.execute(_plain(table), row)


def upsert(connection: Connection, table: Table, row: Row, update: Collection[str]) -> None:
    """Insert `row`, or set its columns `update` if a row with its primary key exists."""
    connection.execute(_upsert(connection.dialect.name, table, tuple(update)), row)


def insert_new(connection: Connection, table: Table, row: Row) -> None:
    """Insert `row`, or do nothing if a row with its primary key exists, or another transaction is inserting it."""
    connection.execute(_insert_new(connection.dialect.name, table), row)


@cache
def _plain(table: Table) -> Insert:
    return insert(table)


@cache
def _upsert(dialect: str, table: Table, update: tuple[str, ...]) -> Insert:
    statement = _insert(dialect, table)
    new = {name: statement.excluded[name] for name in update}
    upsert: Insert = statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)
    return upsert


@cache
def _insert_new(dialect: str, table: Table) -> Insert:
    new: Insert = _insert(dialect, table).on_conflict_do_nothing(index_elements=list(table.primary_key))
    return new


def _insert(dialect: str, table: Table) -> Any:
    """The dialect's insert. Only the one in use is imported: PostgreSQL's takes as long as reading half a window."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
