"""Upsert: insert one row whose key may be taken, by the same statement in the connection's dialect."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table


def upsert(connection: Connection, table: Table, row: dict[str, Any], update: dict[str, Any]) -> None:
    """Insert `row`, or set the columns of `update` if a row with its primary key exists."""
    key = [c.name for c in table.primary_key]
    connection.execute(_insert(connection, table).values(row).on_conflict_do_update(index_elements=key, set_=update))


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert `row`, or do nothing if a row with its primary key exists, or another transaction is inserting it."""
    key = [c.name for c in table.primary_key]
    connection.execute(_insert(connection, table).values(row).on_conflict_do_nothing(index_elements=key))


def _insert(connection: Connection, table: Table) -> Any:
    """The dialect's insert. Only the one in use is imported: PostgreSQL's takes as long as reading half a window."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    return insert(table)
