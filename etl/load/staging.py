"""Staging: temporary tables for the rows of a listing."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Column, Connection, Dialect, MetaData, PrimaryKeyConstraint, Table, Text, delete
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateTable

from etl.domain import tables as declared
from etl.domain.columns import Row
from etl.domain.tables import Kind
from etl.load import bulk
from etl.store.types import ID, TYPES

Rows = Mapping[str, Sequence[Row]]

_COPY_TYPES = {Kind.INTEGER: "int8", Kind.TEXT: "text", Kind.BOOLEAN: "bool", Kind.JSON: "text"}


class Stage(Struct, frozen=True):
    """The staging tables of one dialect: `tables`, one for each data table by its name; `gone`, ids of numbers that are
    proven gone; `partial`, ids of numbers with an unreadable element, each with the table of that element."""

    tables: dict[str, Table]
    gone: Table
    partial: Table

    @property
    def all(self) -> tuple[Table, ...]:
        """Every staging table."""
        return (*self.tables.values(), self.gone, self.partial)


_making = threading.Lock()


def stage_for(dialect: str) -> Stage:
    """The staging tables of `dialect`, the same objects for all threads: a statement must not see two of one name.

    They contain rows of one account, so they have no `account_id`. In SQLite they have primary keys, because it
    joins by look-ups; PostgreSQL joins by hashing and loads faster without keys.
    """
    with _making:
        return _stage_for(dialect)


@cache
def _stage_for(dialect: str) -> Stage:
    metadata, keyed = MetaData(), dialect == "sqlite"
    columns = {t.name: _columns(t) for t in declared.TABLES}
    shape = _shape(columns)
    gone = _temporary(f"stage_gone_{shape}", metadata, [Column("virtual_number_id", ID)], 1 if keyed else 0)
    unread: list[Column[Any]] = [Column("virtual_number_id", ID), Column("table_name", Text)]
    partial = _temporary(f"stage_partial_{shape}", metadata, unread, 2 if keyed else 0)
    tables = {
        t.name: _temporary(f"stage_{t.name}_{shape}", metadata, columns[t.name], len(t.key) if keyed else 0)
        for t in declared.TABLES
    }
    return Stage(tables, gone, partial)


def _columns(table: declared.Table) -> list[Column[Any]]:
    """The table's columns, with JSON as text, and the bits of the fields that were not reported (`missing`)."""
    kinds = {Kind.JSON: Text()}
    columns: list[Column[Any]] = [Column(c.name, kinds.get(c.kind, TYPES[c.kind])) for c in table.columns]
    return [*columns, Column("missing", BigInteger)] if table.values else columns


def _shape(columns: Mapping[str, Sequence[Column[Any]]]) -> str:
    """Eight digits that identify these columns: a pooler's connection may have the tables of another version."""
    shape = [(name, [(c.name, str(c.type)) for c in some]) for name, some in columns.items()]
    return sha256(repr(shape).encode()).hexdigest()[:8]


def _temporary(name: str, metadata: MetaData, columns: list[Column[Any]], keys: int) -> Table:
    constraints = [PrimaryKeyConstraint(*(c.name for c in columns[:keys]))] if keys else []
    options: dict[str, Any] = {"sqlite_with_rowid": False} if keys else {"postgresql_on_commit": "DELETE ROWS"}
    return Table(
        name,
        metadata,
        *columns,
        *constraints,
        prefixes=["TEMPORARY"],
        **options,
    )


def create(connection: Connection) -> Stage:
    """Create the staging tables on this connection if they do not exist.

    They last as long as the connection. In PostgreSQL, a reused connection has them empty: their rows end with the
    transaction.
    """
    for statement in _creation(connection.dialect.name):
        connection.exec_driver_sql(statement)
    return stage_for(connection.dialect.name)


@cache
def _creation(name: str) -> tuple[str, ...]:
    """The statements that create the tables; for PostgreSQL, joined into one."""
    dialect: Dialect = registry.load(name)()
    stage = stage_for(dialect.name)
    creations = [CreateTable(t, if_not_exists=True) for t in stage.all]
    statements = [str(one.compile(dialect=dialect)) for one in creations]
    return ("; ".join(statements),) if dialect.name == "postgresql" else tuple(statements)


def put(connection: Connection, rows: Rows) -> None:
    """Add rows to the staging tables, by table name."""
    for name, batch in rows.items():
        if batch:
            _put(connection, declared.BY_NAME[name], batch)


def _put(connection: Connection, table: declared.Table, batch: Sequence[Row]) -> None:
    kinds = [_COPY_TYPES[c.kind] for c in table.columns] + (["int8"] if table.values else [])
    _bulk(connection, stage_for(connection.dialect.name).tables[table.name], kinds, batch)


def replace_shared(connection: Connection, rows: Rows) -> None:
    """Replace the staged rows of the shared tables with these."""
    stage = stage_for(connection.dialect.name)
    for table in declared.shared_tables():
        connection.execute(delete(stage.tables[table.name]))
    put(connection, rows)


def put_gone(connection: Connection, number_ids: Iterable[int]) -> None:
    """Stage the ids of numbers that are proven gone."""
    gone = stage_for(connection.dialect.name).gone
    _bulk(connection, gone, ["int8"], [(number_id,) for number_id in number_ids])
    _analyze(connection, [gone])


def put_partial(connection: Connection, partly_read: Iterable[tuple[int, str]]) -> None:
    """Stage the ids of numbers with an unreadable element, each with the name of the element's table."""
    partial = stage_for(connection.dialect.name).partial
    _bulk(connection, partial, ["int8", "text"], sorted(set(partly_read)))
    _analyze(connection, [partial])


def _bulk(connection: Connection, into: Table, kinds: list[str], batch: Sequence[Row]) -> None:
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        bulk.insert(driver, into.name, f"({', '.join('?' * len(kinds))})", batch, len(batch))
    else:
        bulk.copy_rows(driver, into.name, kinds, batch)


def analyze(connection: Connection) -> None:
    """Collect PostgreSQL's statistics of the staged rows: autovacuum skips temporary tables, and joins need them."""
    _analyze(connection, stage_for(connection.dialect.name).tables.values())


def _analyze(connection: Connection, tables: Iterable[Table]) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"analyze {', '.join(t.name for t in tables)}")
