"""Definitions in PostgreSQL, without parts that do not change their meaning: fill factors, partitions, schema names.

The server omits a schema's name if the search path contains the schema; so the path is set to the schema that is
examined.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from etl.store import home, schema, views
from etl.store.definitions import triggers
from etl.store.definitions.kinds import Definitions, Found

_HERE = "(select oid from pg_catalog.pg_namespace where nspname = current_schema())"
_TEMPORARY = "pg_my_temp_schema()"
_DEFINITIONS = """
with ours as (select c.oid, c.relname, c.relkind from pg_catalog.pg_class c
  where c.relnamespace = {where} and c.relname = any(:names))
select 'column', o.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
    case when a.attnotnull then 'not null' end)
  from ours o join pg_catalog.pg_attribute a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
  where o.relkind in ('r', 'p')
union all
select 'constraint', k.conname, pg_get_constraintdef(k.oid, true) from ours o
  join pg_catalog.pg_constraint k on k.conrelid = o.oid where k.contype <> 'n'
union all
select 'index', c.relname, concat_ws(' ', m.amname, case when i.indisunique then 'unique' end, (
    select string_agg(pg_get_indexdef(i.indexrelid, place, true), ', ' order by place)
    from generate_series(1, i.indnkeyatts) place), 'where ' || pg_get_expr(i.indpred, i.indrelid, true),
    case when i.indisvalid then null else 'invalid' end)
  from ours o join pg_catalog.pg_index i on i.indrelid = o.oid join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_am m on m.oid = c.relam
union all
select 'view', o.relname, pg_get_viewdef(o.oid) from ours o where o.relkind = 'v'
"""
_ADDED = """
with ours as (select c.oid, c.relname from pg_catalog.pg_class c where c.relnamespace = {where}
  and c.relname = any(:names) and c.relkind in ('r', 'p'))
select o.relname || '.' || a.attname from ours o
  join pg_catalog.pg_attribute a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
  where a.attnotnull and not a.atthasdef and a.attidentity = '' order by 1
"""
_TRIGGERS = """
select distinct o.relname || '.' || t.tgname, t.tgtype & 1 <> 0 as by_row, t.tgtype & 2 <> 0 as before,
  t.tgtype & 8 <> 0 as deletes, p.prosrc, l.lanname
from pg_catalog.pg_class o
cross join lateral (select o.oid as relid union select relid from pg_partition_tree(o.oid)) part
join pg_catalog.pg_trigger t on t.tgrelid = part.relid and t.tgparentid = 0
join pg_catalog.pg_proc p on p.oid = t.tgfoid join pg_catalog.pg_language l on l.oid = p.prolang
where o.relnamespace = {where} and o.relname = any(:names) and o.relkind in ('r', 'p')
  and not t.tgisinternal and t.tgenabled <> 'D' order by 1
"""
_REPLACED = """
select 'the rule ' || r.tablename || '.' || r.rulename || ' is not vnsync''s' from pg_catalog.pg_rules r
  where r.schemaname = current_schema() and r.tablename = any(:names)
union all
select 'the constraints of ' || c.relname || ' are off' from pg_catalog.pg_class c
  where c.relnamespace = {where} and c.relname = any(:names) and exists (
    select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and t.tgenabled <> 'O' and t.tgisinternal)
order by 1
"""
_HELD_FAST = """
select 'the foreign key ' || k.conname || ' of table ' || n.nspname || '.' || c.relname
  || ' forbids the deletion of rows that it refers to: once one of them is gone, the sync of its account ends with 78'
from pg_catalog.pg_constraint k join pg_catalog.pg_class o on o.oid = k.confrelid
join pg_catalog.pg_class c on c.oid = k.conrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f' and k.conparentid = 0 and k.confdeltype in ('a', 'r')
  and o.relnamespace = {where} and o.relname = any(:names)
  and not (c.relnamespace = {where} and c.relname = any(:names))
order by 1
"""
_CAN_COMPARE = """
select has_database_privilege(current_database(), 'TEMP') and not pg_is_in_recovery()
  and current_setting('transaction_read_only') = 'off'
"""


def can_compare(connection: Connection) -> bool:
    """Whether temporary tables may be made here: not on a standby, nor by a role that only reads."""
    return bool(connection.scalar(text(_CAN_COMPARE)))


def found(connection: Connection) -> Found:
    """The definitions under vnsync's names, and the additions of others."""
    definitions = _definitions(connection, _HERE)
    obligatory = set(_ask(connection, _ADDED).scalars()) - {f"{t.name}.{c.name}" for t in _tables() for c in t.columns}
    harmful, harmless = [f"the column {name} takes no null and has no default" for name in sorted(obligatory)], []
    for name, is_harmless in _triggers(connection):
        if is_harmless:
            harmless.append(f"the trigger {name} is not vnsync's, and changes nothing that vnsync writes")
        else:
            harmful.append(f"the trigger {name} is not vnsync's, and may change what is written")
    harmful += _ask(connection, _REPLACED).scalars()
    harmless += _ask(connection, _HELD_FAST).scalars()
    return Found(definitions=definitions, harmful=tuple(harmful), harmless=tuple(harmless))


def wanted(connection: Connection) -> Definitions:
    """The wanted definitions: made in the session's temporary schema, read, and rolled back."""
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql("set local search_path to pg_temp")
        schema.metadata.create_all(connection, checkfirst=False)
        for name, query in views.queries("postgresql").items():
            connection.exec_driver_sql(f"create view {name} as\n{query}")
        return _definitions(connection, _TEMPORARY)
    finally:
        savepoint.rollback()


def _definitions(connection: Connection, where: str) -> Definitions:
    if where == _HERE:
        connection.exec_driver_sql(f"set local search_path to {home.quoted(connection)}, pg_temp")
    return {(kind, name): definition for kind, name, definition in _ask(connection, _DEFINITIONS, where)}


def _triggers(connection: Connection) -> Iterator[tuple[str, bool]]:
    """The enabled triggers of others, and whether each leaves the rows that vnsync writes unchanged."""
    names = _names()
    for name, by_row, before, deletes, body, language in _ask(connection, _TRIGGERS):
        passive = not (by_row and before) or triggers.passes_rows_on(body, language, deletes=deletes)
        yield name, passive and not triggers.writes(body, names)


def _ask(connection: Connection, query: str, where: str = _HERE) -> Any:
    return connection.execute(text(query.format(where=where)), {"names": _names()})


def _tables() -> list[Any]:
    return list(schema.metadata.sorted_tables)


def _names() -> list[str]:
    return [*(t.name for t in _tables()), *views.NAMES]
