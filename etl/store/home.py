"""Home of the warehouse: its schema, its version table, and the owners of the names that it needs.

In PostgreSQL a warehouse is one schema. Without VNSYNC_DATABASE_SCHEMA it is the first schema of the search path with a
version table, so that a schema which is created later and comes first on the path (`"$user"`) hides nothing; if there
is no version table yet, it is the first schema of the path. `pin` moves it to the front of the path for the length of a
transaction: names without a schema, and `current_schema()`, then mean the warehouse. A SQLite file is one schema.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct
from sqlalchemy import Connection, text

from etl.errors import IntegrityBroken, Misconfigured
from etl.store import rights, schema, views

VERSION_TABLE = schema.VERSION_TABLE
_PINNED = """
select set_config('search_path', coalesce((select quote_ident(nspname) || ', ' || current_setting('search_path')
  from pg_catalog.pg_namespace where oid = {oid:d}), current_setting('search_path')), true); """
_VERSION_TABLES = f"""
from pg_catalog.pg_namespace n
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = '{VERSION_TABLE}' and c.relkind = 'r'
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = 'version_num' and not a.attisdropped """
_FOUND = f"""
select n.oid {_VERSION_TABLES} join unnest(current_schemas(false)) with ordinality as path (name, place)
  on path.name = n.nspname order by path.place limit 1"""
_HERE = f"select count(*) {_VERSION_TABLES} where n.nspname = current_schema()"
_ELSEWHERE = f"""
select n.nspname {_VERSION_TABLES} where n.nspname <> current_schema()
  and has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') order by n.nspname"""
_OBJECTS = {
    "postgresql": """
        select c.relname, case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
          when 'f' then 'foreign table' when 'c' then 'type' when 'i' then 'index' when 'I' then 'index'
          else 'table' end
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = current_schema() and c.relkind <> 't'
        union all
        select t.typname, 'type' from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
        where n.nspname = current_schema() and t.typrelid = 0 and t.typcategory <> 'A'""",
    "sqlite": "select lower(name), type from sqlite_master where type <> 'trigger'",
}


class SchemaChoice(Struct):
    """Schema that an engine's connections use. `asked`: the one that was set; `found`: the oid of the one found."""

    asked: str | None = None
    found: int | None = None


class Owned(Struct, frozen=True, kw_only=True):
    """Object under one of vnsync's names."""

    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


# -- the schema


def path(choice: SchemaChoice) -> str:
    """SQL that points a transaction to the warehouse; empty as long as its schema is unknown."""
    if choice.asked is not None:
        quoted = choice.asked.replace('"', '""')
        return f'set local search_path to "{quoted}"; '
    return "" if choice.found is None else _PINNED.format(oid=choice.found)


def pin(connection: Connection, choice: SchemaChoice) -> None:
    """Find the warehouse on the search path, once for an engine, and use its schema until the transaction ends."""
    if choice.asked is None and choice.found is None:
        choice.found = connection.exec_driver_sql(_FOUND).scalar()
        if choice.found is not None:
            connection.exec_driver_sql(path(choice))


def schema_name(connection: Connection) -> str:
    """The schema's name, not quoted. Raises `Misconfigured` or `NotAllowed` without a usable schema on the path."""
    if connection.dialect.name == "sqlite":
        return "main"
    rights.require_schema(connection)
    return str(connection.scalar(text("select current_schema()")))


def quoted(connection: Connection) -> str:
    """The schema's name, quoted, for use before a table's name."""
    return str(connection.dialect.identifier_preparer.quote_identifier(schema_name(connection)))


def qualified(connection: Connection, name: str) -> str:
    """One of vnsync's names with its schema."""
    return f"{quoted(connection)}.{name}"


def version(connection: Connection) -> str | None:
    """The revision of the schema; None if there is no warehouse, or only an empty version table."""
    if connection.dialect.name == "postgresql":
        rights.require_schema(connection)
    if not version_table_is_there(connection):
        return None
    found = connection.exec_driver_sql(f"select version_num from {VERSION_TABLE}").scalar()  # noqa: S608 - a constant
    return None if found is None else str(found)


def version_table_is_there(connection: Connection) -> bool:
    """Whether the version table exists, whatever its content."""
    if connection.dialect.name == "sqlite":
        columns = connection.exec_driver_sql(f"select name from pragma_table_info('{VERSION_TABLE}')").scalars()  # noqa: S608
        kind = connection.exec_driver_sql(f"select type from sqlite_master where name = '{VERSION_TABLE}'")  # noqa: S608
        return "version_num" in set(columns) and kind.scalar() == "table"
    return bool(connection.exec_driver_sql(_HERE).scalar())


# -- the owners of names


def owners(connection: Connection, names: Collection[str]) -> list[Owned]:
    """The objects that exist under these names, in the order of the names."""
    rows = connection.exec_driver_sql(_OBJECTS[connection.dialect.name])
    found = {row[0]: row[1] for row in rows}
    return [Owned(name=name, kind=found[name]) for name in names if name in found]


def names(dialect: str) -> list[str]:
    """Every name that the first migration gives to a table, a view or an index."""
    tables = list(schema.metadata.tables)
    indexes = [str(i.name) for t in schema.metadata.sorted_tables for i in t.indexes]
    if dialect == "postgresql":  # SQLite's keys have no names of their own
        indexes += [*(f"pk_{t}" for t in tables), f"{VERSION_TABLE}_pkc", "quarantine_quarantine_id_seq"]
    return [*tables, *views.NAMES, VERSION_TABLE, *indexes]


def require_room(connection: Connection) -> None:
    """Raise unless all names are free for the first migration, and this database has no other warehouse.

    For a database without a version of ours. `Misconfigured` names the object, its schema and the remedy.
    """
    taken = owners(connection, names(connection.dialect.name))
    ours = version_table_is_there(connection)
    others = [each for each in taken if not (ours and each.name.startswith(VERSION_TABLE))]
    if set(schema.metadata.tables) <= {each.name for each in others}:
        raise IntegrityBroken(
            f"{_place(connection)} has vnsync's tables, but their version is missing from the table {VERSION_TABLE}",
            remedy="Restore a backup: the table was emptied or dropped by hand",
        )
    if connection.dialect.name == "postgresql":
        _refuse_second(connection)
    if others:
        raise _taken(connection, others, remedy=_own_place(connection))


def refuse_taken(connection: Connection, names: Sequence[str]) -> None:
    """Raise `Misconfigured` if an object exists under one of these names, which are to be created now."""
    others = owners(connection, names)
    if others:
        remedy = f"It stands where a view of the warehouse belongs: rename or drop the {others[0]}, and run this again"
        raise _taken(connection, others, remedy=remedy)


def _place(connection: Connection) -> str:
    return "the database file" if connection.dialect.name == "sqlite" else f"the schema {quoted(connection)}"


def _taken(connection: Connection, others: Sequence[Owned], *, remedy: str) -> Misconfigured:
    more = f" (nor are {', '.join(map(str, others[1:4]))}{', ...' if len(others) > 4 else ''})" if others[1:] else ""
    article = "an" if others[0].kind[0] in "aeiou" else "a"
    return Misconfigured(
        f"{_place(connection)} already has {article} {others[0]}, which is not vnsync's{more}; nothing was changed",
        remedy=remedy,
    )


def _own_place(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return "Give vnsync a file of its own, for example VNSYNC_DATABASE_URL=sqlite:///vnsync.db"
    name = "vnsync" if schema_name(connection) != "vnsync" else "vnsync_warehouse"
    return f"Give vnsync a schema of its own: CREATE SCHEMA {name}, and set VNSYNC_DATABASE_SCHEMA={name}"


def elsewhere(connection: Connection) -> list[str]:
    """Other schemas of this database that hold a warehouse."""
    return [] if connection.dialect.name == "sqlite" else list(connection.exec_driver_sql(_ELSEWHERE).scalars())


def _refuse_second(connection: Connection) -> None:
    """Refuse to start a second warehouse without the history because of a search path, unless its schema was set."""
    choice = connection.get_execution_options().get(SCHEMA_CHOICE)
    others = elsewhere(connection)
    if others and (choice is None or choice.asked is None):
        here = schema_name(connection)
        raise Misconfigured(
            f'the warehouse of this database is in the schema "{others[0]}", which is not on the search path',
            remedy=f"Set VNSYNC_DATABASE_SCHEMA={others[0]}; for a second warehouse VNSYNC_DATABASE_SCHEMA={here}",
        )


SCHEMA_CHOICE = "vnsync_place"
"""Execution option of an engine: its `SchemaChoice`."""
