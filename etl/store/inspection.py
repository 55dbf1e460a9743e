"""The deep look of `vnsync doctor`: every definition in the database against what this program would make today.

The comparison is with real tables, made empty for the purpose: in memory for SQLite, in the session's temporary schema
for PostgreSQL, whose transaction is rolled back. So the database itself says what each definition means. A difference
counts as a problem when what vnsync reads or writes could be wrong for it; what others added is a note, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from etl.store import schema, schema_check
from etl.store.definitions import postgresql, sqlite
from etl.store.definitions.kinds import Definitions, Found
from etl.store.engine import database_errors

NOT_COMPARED = (
    "Definitions were not compared, for that takes temporary tables, which this role or server refuses;"
    " `vnsync doctor` does it where a sync runs."
)
_EXPOSED = """
select c.relname, row_security_active(c.oid), c.relpersistence = 'u' or exists (
  select from pg_partition_tree(c.oid) p join pg_catalog.pg_class l on l.oid = p.relid where l.relpersistence = 'u')
from pg_catalog.pg_class c
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
  and c.relname = any(:names) and c.relkind in ('r', 'p') order by c.relname
"""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something that is not as this program makes it; `view`: its name where a view is missing or differs."""

    told: str
    view: str | None = None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What the look found. `notes`: harmless additions of others, and what could not be looked at."""

    problems: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()


def inspect(engine: Engine) -> Inspection:
    """Compare every definition; where temporary tables are refused, that is a note, and nothing is compared."""
    with database_errors(), engine.connect() as connection:
        if engine.name == "sqlite":
            schema_check.refuse_damaged(connection)
            return _compare(sqlite.found(connection), sqlite.wanted())
        if not postgresql.can_compare(connection):
            return Inspection(notes=(NOT_COMPARED,))
        return _compare(postgresql.found(connection), postgresql.wanted(connection))


def exposed(connection: Connection) -> Iterator[tuple[str, str]]:
    """Tables of PostgreSQL of which this role may not see every row, or that a crash empties; with what is wrong."""
    if connection.dialect.name != "postgresql":
        return
    names = [table.name for table in schema.metadata.sorted_tables]
    for table, hides, loses in connection.execute(text(_EXPOSED), {"names": names}):
        if hides:
            yield table, "row-level security applies to this role, and may hide rows from it"
        if loses:
            yield table, "is unlogged: a crash of the server empties it"


def exposures(engine: Engine) -> list[str]:
    """The same as sentences."""
    with database_errors(), engine.connect() as connection:
        return [f"{table}: {what}" for table, what in exposed(connection)]


def _compare(found: Found, wanted: Definitions) -> Inspection:
    problems = [*_differences(found.definitions, wanted), *(Difference(told=told) for told in found.harmful)]
    return Inspection(problems=tuple(problems), notes=tuple(found.harmless))


def _differences(found: Definitions, wanted: Definitions) -> Iterator[Difference]:
    for (kind, name), definition in sorted(wanted.items()):
        view = name if kind == "view" else None
        if kind == "clause" and ("table", name.partition(":")[0]) not in found:
            continue
        if (kind, name) not in found:
            yield Difference(told=f"the {kind} {name} is missing", view=view)
        elif found[kind, name] != definition:
            yield Difference(told=f"the {kind} {name} was changed", view=view)
