"""The deep look of `vnsync doctor`: every definition in the database against what this program would make today.

The comparison is with real tables, made empty for the purpose: in memory for SQLite, in the session's temporary schema
for PostgreSQL, whose transaction is rolled back. So the database itself says what each definition means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import StaticPool

from etl.store import migrations, schema, soundness, views
from etl.store.engine import database_errors

Definitions = dict[tuple[str, str], str]
"""Definition by kind and name."""

_POSTGRESQL = """
with ours as (select c.oid, c.relname, c.relkind, n.oid as space from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.oid = case when :temporary then pg_my_temp_schema() else (
    select oid from pg_catalog.pg_namespace where nspname = :schema) end and c.relname = any(:names))
select 'column', o.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
    case when a.attnotnull then 'not null' end)
  from ours o join pg_catalog.pg_attribute a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
  where o.relkind in ('r', 'p')
union all
select 'constraint', k.conname, pg_get_constraintdef(k.oid) from ours o
  join pg_catalog.pg_constraint k on k.conrelid = o.oid where k.contype <> 'n'
union all
select 'index', c.relname, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
    || case when i.indisvalid then '' else ' invalid' end
  from ours o join pg_catalog.pg_index i on i.indrelid = o.oid join pg_catalog.pg_class c on c.oid = i.indexrelid
union all
select 'view', o.relname, pg_get_viewdef(o.oid) from ours o where o.relkind = 'v'
union all
select 'trigger', o.relname || '.' || t.tgname, pg_get_triggerdef(t.oid) from ours o
  join pg_catalog.pg_trigger t on t.tgrelid = o.oid where not t.tgisinternal
union all
select 'checks', o.relname, 'switched off' from ours o where exists (
  select from pg_catalog.pg_trigger t where t.tgrelid = o.oid and t.tgenabled <> 'O' and t.tgisinternal)
union all
select 'rule', r.tablename || '.' || r.rulename, r.definition from pg_catalog.pg_rules r
  where not :temporary and r.schemaname = :schema and r.tablename = any(:names)
"""
_EXPOSED = """
select c.relname, row_security_active(c.oid), c.relpersistence = 'u' from pg_catalog.pg_class c
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
  and c.relname = any(:names) and c.relkind in ('r', 'p') order by c.relname
"""
_SQLITE = "select type, name, tbl_name, coalesce(sql, '') from sqlite_master where name not like 'sqlite_%'"
_REPLACING = ("trigger", "rule", "checks")
"""Kinds of which this program makes none: each one that is found is somebody else's, and changes what is written."""


def differences(engine: Engine) -> list[str]:
    """What in the database is not as this program makes it; additions that change nothing are left alone.

    A PostgreSQL role that may not make temporary tables gets the error of that.
    """
    with database_errors(), engine.connect() as connection:
        if engine.name == "sqlite":
            soundness.refuse_damaged(connection)
            return list(_compare(_of_sqlite(connection), _wanted_of_sqlite()))
        return list(_compare(_of_postgresql(connection, temporary=False), _wanted_of_postgresql(connection)))


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


def _compare(found: Definitions, wanted: Definitions) -> Iterator[str]:
    for (kind, name), definition in sorted(wanted.items()):
        if (kind, name) not in found:
            yield f"the {kind} {name} is missing"
        elif found[kind, name] != definition:
            yield f"the {kind} {name} was changed"
    for kind, name in sorted(found.keys() - wanted.keys()):
        if kind in _REPLACING:
            yield f"the {kind} {name} is not vnsync's" if kind != "checks" else f"the constraints of {name} are off"


# -- SQLite


def _of_sqlite(connection: Connection) -> Definitions:
    ours = {t.name for t in schema.metadata.sorted_tables} | set(views.NAMES)
    rows = connection.exec_driver_sql(_SQLITE).all()
    return {(kind, name): " ".join(sql.split()) for kind, name, table, sql in rows if table in ours}


def _wanted_of_sqlite() -> Definitions:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    migrations.upgrade(engine)
    with engine.connect() as connection:
        return _of_sqlite(connection)


# -- PostgreSQL


def _of_postgresql(connection: Connection, *, temporary: bool) -> Definitions:
    home = connection.scalar(text("select current_schema()"))
    names = [*(t.name for t in schema.metadata.sorted_tables), *views.NAMES]
    rows = connection.execute(text(_POSTGRESQL), {"temporary": temporary, "schema": home, "names": names})
    quoted = connection.dialect.identifier_preparer.quote(str(home))
    prefix = re.compile(rf"\b(pg_temp(_\d+)?|{re.escape(quoted)})\.")
    return {(kind, name): prefix.sub("", definition) for kind, name, definition in rows}


def _wanted_of_postgresql(connection: Connection) -> Definitions:
    """Made in the session's temporary schema, read, and rolled back."""
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql("set local search_path to pg_temp")
        schema.metadata.create_all(connection, checkfirst=False)
        _execute(connection, views.create_statements("postgresql"))
        return _of_postgresql(connection, temporary=True)
    finally:
        savepoint.rollback()


def _execute(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
