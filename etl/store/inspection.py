"""Inspection for `vnsync doctor`: compares every definition in the database with the one that this program would make.

It creates real, empty tables for the comparison: for SQLite in memory, for PostgreSQL in the session's temporary
schema, in a transaction that is rolled back. So the database itself interprets each definition. A difference is a
problem if it can make vnsync's reading or writing wrong; other additions are a note, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from sqlalchemy import Connection, Engine, text

from etl.store import schema, schema_check
from etl.store.definitions import postgresql, sqlite
from etl.store.definitions.kinds import Definitions, Found
from etl.store.engine import database_errors

NOT_COMPARED = (
    "Definitions were not compared, because that needs temporary tables, which this role or server does not allow;"
    " run `vnsync doctor` with the role and the server of the sync."
)
_EXPOSED = """
select c.relname, row_security_active(c.oid), c.relpersistence = 'u' or exists (
  select from pg_partition_tree(c.oid) p join pg_catalog.pg_class l on l.oid = p.relid where l.relpersistence = 'u')
from pg_catalog.pg_class c
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
  and c.relname = any(:names) and c.relkind in ('r', 'p') order by c.relname
"""


class Difference(Struct, frozen=True, kw_only=True):
    """Difference from the definitions that this program makes; `view`: its name if a view is missing or differs."""

    sentence: str
    view: str | None = None


class Inspection(Struct, frozen=True, kw_only=True):
    """Result of an inspection. `notes`: harmless additions of others, and comparisons that were not possible."""

    problems: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()


def inspect(engine: Engine) -> Inspection:
    """Compare every definition. If temporary tables are refused, nothing is compared, and a note says so."""
    with database_errors(), engine.connect() as connection:
        if engine.name == "sqlite":
            schema_check.refuse_damaged(connection)
            return _compare(sqlite.found(connection), sqlite.wanted())
        if not postgresql.can_compare(connection):
            return Inspection(notes=(NOT_COMPARED,))
        return _compare(postgresql.found(connection), postgresql.wanted(connection))


def exposed(connection: Connection) -> Iterator[tuple[str, str]]:
    """Tables of PostgreSQL in which this role may not see every row, or which a crash empties, with the reason."""
    if connection.dialect.name != "postgresql":
        return
    names = [table.name for table in schema.metadata.sorted_tables]
    for table, hides, loses in connection.execute(text(_EXPOSED), {"names": names}):
        if hides:
            yield table, "row-level security applies to this role, and may hide rows from it"
        if loses:
            yield table, "is unlogged: a crash of the server empties it"


def exposures(engine: Engine) -> list[str]:
    """The same tables, as sentences."""
    with database_errors(), engine.connect() as connection:
        return [f"{table}: {what}" for table, what in exposed(connection)]


def _compare(found: Found, wanted: Definitions) -> Inspection:
    problems = [*_differences(found.definitions, wanted), *(Difference(sentence=each) for each in found.harmful)]
    return Inspection(problems=tuple(problems), notes=tuple(found.harmless))


def _differences(found: Definitions, wanted: Definitions) -> Iterator[Difference]:
    for (kind, name), definition in sorted(wanted.items()):
        view = name if kind == "view" else None
        if kind == "clause" and ("table", name.partition(":")[0]) not in found:
            continue
        if (kind, name) not in found:
            yield Difference(sentence=f"the {kind} {name} is missing", view=view)
        elif found[kind, name] != definition:
            yield Difference(sentence=f"the {kind} {name} was changed", view=view)
