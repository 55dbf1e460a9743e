"""Names of the warehouse's tables by which other programs know them, and their columns with the database's types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import URL, Column, Connection, Engine, text

from etl.domain import tables as declared
from etl.store import home, schema
from etl.store.declaring import MEANING
from etl.store.engine import begin_reading, database_errors

_DEFAULT_PORT = 5432


class DatasetColumn(Struct, frozen=True, kw_only=True):
    """Column: its name, its type as the database writes it, and its meaning as one sentence."""

    name: str
    type: str
    sentence: str


class Dataset(Struct, frozen=True, kw_only=True):
    """Table with data. `namespace` and `name` follow OpenLineage's naming; `columns`: in order.

    `declared`: the table that it belongs to; `closed`: whether it holds the ended versions.
    """

    namespace: str
    name: str
    declared: declared.Table
    closed: bool
    columns: tuple[DatasetColumn, ...]


def datasets(engine: Engine) -> list[Dataset]:
    """The current and closed tables of the warehouse: `postgres://host:port`, `database.schema.table`.

    For SQLite, which OpenLineage has no names for: `sqlite:///path/of/the/file`, `table`.
    """
    with database_errors(), begin_reading(engine) as connection:
        namespace, prefix = _place(connection, engine)
    return [
        Dataset(
            namespace=namespace,
            name=f"{prefix}{table.name}",
            declared=declared.BY_NAME[name],
            closed=table is schema.closed[name],
            columns=tuple(_column(c, engine) for c in table.columns),
        )
        for name in declared.BY_NAME
        for table in (schema.current[name], schema.closed[name])
    ]


def _place(connection: Connection, engine: Engine) -> tuple[str, str]:
    """Namespace, and what precedes the name of a table."""
    if engine.dialect.name == "sqlite":
        return f"sqlite://{Path(str(engine.url.database)).absolute()}", ""
    info = _driver(connection).info
    database = connection.scalar(text("select current_database()"))
    return server(engine.url, info.host, info.port), f"{database}.{home.schema_name(connection)}."


def server(url: URL, connected_host: str, connected_port: int) -> str:
    """Namespace of a PostgreSQL server: what the URL names first, or else where the connection leads."""
    host = _first(url.host, url.query.get("host")) or connected_host
    port = _first(url.port, url.query.get("port")) or connected_port or _DEFAULT_PORT
    if not host or host.startswith(("/", "@")):  # a socket
        host = "localhost"
    return f"postgres://{f'[{host}]' if ':' in host else host}:{port}"


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _first(single: object, several: object) -> str | None:
    """The first of the values that the URL names: of several hosts the same one whichever is connected now."""
    values = several if isinstance(several, tuple) else str(several or "").split(",")
    return str(single) if single else (values[0] or None)


def _column(column: Column[Any], engine: Engine) -> DatasetColumn:
    kind = column.type.compile(dialect=engine.dialect).lower()
    return DatasetColumn(name=column.name, type=kind, sentence=column.info[MEANING].sentence)
