"""Schema check before every run: whether the warehouse still is as the migrations made it. It takes milliseconds.

Tables edited by hand (a column dropped, renamed or retyped, an index or a constraint lost) are refused before anything
is read from the source. `inspection` checks more, for `vnsync doctor`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_mock_engine, text

from etl.errors import IntegrityBroken, Misconfigured
from etl.store import read_only, rights, schema
from etl.store.engine import DOUBTFUL, POSTGRESQL_MINIMUM, database_errors

Column = tuple[str, str, bool]
"""Name, type as the database writes it, whether null is refused."""

_SERVER = "select current_setting('server_version_num')::int / 10000, current_setting('server_encoding')"
_COLUMNS = {
    "postgresql": """
        select c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
          row_security_active(c.oid)
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where n.nspname = current_schema() and c.relkind in ('r', 'p')""",
    "sqlite": """
        select m.name, c.name, lower(c.type), c."notnull" or (c.pk > 0 and m.sql like '%without rowid%'), 0
        from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table'""",
}
_NAMES = {
    "postgresql": """
        select k.conname from pg_catalog.pg_constraint k join pg_catalog.pg_namespace n on n.oid = k.connamespace
        where n.nspname = current_schema() and k.convalidated
        union all
        select c.relname from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = current_schema() and i.indisvalid and i.indisready""",
    "sqlite": """
        select case type when 'index' then name else sql end from sqlite_master where type in ('index', 'table')""",
}


def check(engine: Engine) -> list[str]:
    """Warnings about the warehouse. Raises `IntegrityBroken`, `NotAllowed` or `Misconfigured` if no run should begin.

    The caller has checked the schema's version.
    """
    with database_errors(), engine.connect() as connection:
        if engine.name == "postgresql":
            check_server(connection)
            rights.check(connection)
            warnings = []
        else:
            warnings = _check_file(connection)
        refuse_edited(connection)
    return warnings


def refuse_edited(connection: Connection) -> None:
    """Raise `IntegrityBroken` if a table, column, index or constraint is not as the migrations made it."""
    problems = [*_columns_wrong(connection), *_names_missing(connection)]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise IntegrityBroken(
            f"the warehouse was changed by hand: {problems[0]}{more}",
            remedy="Undo the change, or restore a backup; `vnsync doctor` lists all of it",
        )


def journal_warning(connection: Connection) -> str | None:
    """Reason why a SQLite file is slower or less safe than it should be; None if it is not."""
    mode = connection.exec_driver_sql("pragma journal_mode").scalar()
    if mode in ("wal", "memory"):
        return None
    return (
        f"SQLite's journal mode is {mode}, not wal: the file system cannot share memory (a network drive?); "
        "readers and the sync block each other there, and locks may not hold"
    )


def check_server(connection: Connection) -> None:
    """Raise `Misconfigured` for a PostgreSQL that is too old, or whose encoding cannot hold every name."""
    version, encoding = connection.execute(text(_SERVER)).one()
    if version < POSTGRESQL_MINIMUM:
        raise Misconfigured(f"PostgreSQL {version} is too old", remedy=f"Use PostgreSQL {POSTGRESQL_MINIMUM} or newer")
    if encoding != "UTF8":
        raise Misconfigured(
            f"the database's encoding is {encoding}, which cannot hold every name",
            remedy="Use a database made with: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        )


def _check_file(connection: Connection) -> list[str]:
    if connection.get_execution_options().get(DOUBTFUL):
        refuse_damaged(connection)
    read_as_it_is = connection.get_execution_options().get(read_only.OPTION) is not None
    warning = None if read_as_it_is else journal_warning(connection)
    return [warning] if warning else []


def refuse_damaged(connection: Connection) -> None:
    """Read a whole SQLite file. Raises `IntegrityBroken` if its pages contradict each other.

    Rows that a CHECK refuses are no damage; they are left to `verify`, which names them.
    """
    connection.exec_driver_sql("pragma ignore_check_constraints = on")
    found = connection.exec_driver_sql("pragma integrity_check(1)").scalar()
    connection.exec_driver_sql("pragma ignore_check_constraints = off")
    if found != "ok":
        raise IntegrityBroken(
            f"SQLite: the file is damaged: {str(found).splitlines()[-1]}",
            remedy="Restore a backup; remove the -wal and -shm files of the damaged one first",
        )


# -- columns


def _columns_wrong(connection: Connection) -> Iterator[str]:
    found: dict[str, dict[str, Column]] = {}
    for table, name, kind, needed, hidden in connection.exec_driver_sql(_COLUMNS[connection.dialect.name]):
        found.setdefault(table, {})[name] = (name, kind, bool(needed))
        if hidden and table in schema.metadata.tables and f"{table}:" not in found:
            found[f"{table}:"] = {}
            yield f"row security is on for {table} and may hide rows from this role"
    for table, columns in _expected_columns(connection.dialect.name).items():
        if table not in found:
            yield f"the table {table} is missing"
            continue
        yield from _differences(table, columns, found[table])


def _differences(table: str, wanted: tuple[Column, ...], found: dict[str, Column]) -> Iterator[str]:
    for name, kind, needed in wanted:
        if name not in found:
            yield f"{table} has no column {name}"
        elif found[name][1] != kind:
            yield f"{table}.{name} is {found[name][1]}, not {kind}"
        elif found[name][2] != needed:
            yield f"{table}.{name} {'may be' if needed else 'must not be'} null"


@cache
def _expected_columns(dialect: str) -> dict[str, tuple[Column, ...]]:
    spelt = create_mock_engine(f"{dialect}://", lambda *_: None).dialect
    return {
        table.name: tuple((c.name, str(c.type.compile(spelt)).lower(), not c.nullable) for c in table.columns)
        for table in schema.metadata.sorted_tables
    }


# -- indexes and constraints, by name


def _names_missing(connection: Connection) -> Iterator[str]:
    found = set(connection.exec_driver_sql(_NAMES[connection.dialect.name]).scalars())
    if connection.dialect.name == "sqlite":
        found |= {word for sql in found for word in sql.replace('"', " ").split()}
    for name, table in _expected_names(connection.dialect.name):
        if name not in found:
            yield f"{name} of {table} is missing"


@cache
def _expected_names(dialect: str) -> tuple[tuple[str, str], ...]:
    """Names of the indexes and constraints that are declared on this dialect, each with its table's."""
    return tuple(
        (str(item.name), table.name)
        for table in schema.metadata.sorted_tables
        for item in _constraints(table)
        if item.info.get(schema.ONLY_ON, dialect) == dialect
    )


def _constraints(table: Table) -> list[Any]:
    return [*table.constraints, *table.indexes]
