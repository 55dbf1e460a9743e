"""Attached objects of others: dependent objects, grants, comments, owners and options of vnsync's tables and views."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct
from sqlalchemy import Connection, text

from etl.errors import Misconfigured
from etl.store import views

_DEPENDENTS = """
with ours as (select c.oid, c.reltype, c.relname, c.relkind from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = current_schema() and c.relname = any(:names))
select distinct o.relname, v.relname as view, v.relnamespace = (select oid from pg_catalog.pg_namespace
    where nspname = current_schema()) as here,
  case when v.oid is null then pg_describe_object(d.classid, d.objid, d.objsubid)
    else pg_describe_object('pg_catalog.pg_class'::regclass, v.oid, 0) end
from ours o join pg_catalog.pg_depend d on d.deptype in ('n', 'a')
  and ((d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = o.oid)
    or (d.refclassid = 'pg_catalog.pg_type'::regclass and d.refobjid = o.reltype))
left join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = d.objid
left join pg_catalog.pg_class v on v.oid = r.ev_class and r.rulename = '_RETURN'
left join pg_catalog.pg_constraint k on d.classid = 'pg_catalog.pg_constraint'::regclass and k.oid = d.objid
left join pg_catalog.pg_class x on d.classid = 'pg_catalog.pg_class'::regclass and x.oid = d.objid
left join pg_catalog.pg_trigger t on d.classid = 'pg_catalog.pg_trigger'::regclass and t.oid = d.objid
where v.oid is distinct from o.oid
  and (r.oid is not null or t.oid is not null or (x.relkind in ('v', 'm', 'r', 'p', 'f') and not x.relispartition)
    or d.classid = 'pg_catalog.pg_proc'::regclass or (k.contype = 'f' and k.confrelid = o.oid))
  and not exists (select from ours u where u.oid = k.conrelid
    or (u.relkind in ('r', 'p') and (u.oid = t.tgrelid or (u.oid = r.ev_class and r.rulename <> '_RETURN'))))
order by 1, 4
"""
_STATEMENTS = """
with ours as (select c.*, format('%I.%I', n.nspname, c.relname) as named from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = current_schema() and c.relkind = 'v' and c.relname = any(:names)),
columns as (select o.relname, o.named, a.attname, a.attacl, col_description(o.oid, a.attnum) as told from ours o
  join pg_catalog.pg_attribute a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped)
select 1, relname, null as of_column, format('alter view %s set (%s)', named, array_to_string(reloptions, ', '))
  from ours where reloptions is not null
union all
select 2, relname, null, format('comment on view %s is %L', named, obj_description(oid, 'pg_class')) from ours
  where obj_description(oid, 'pg_class') is not null
union all
select 2, relname, attname, format('comment on column %s.%I is %L', named, attname, told) from columns
  where told is not null
union all
select 3, o.relname, null, format('grant %s on %s to %s%s', g.privilege_type, o.named,
    case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
    case when g.is_grantable then ' with grant option' else '' end)
  from ours o cross join aclexplode(o.relacl) g
union all
select 3, c.relname, c.attname, format('grant %s (%I) on %s to %s%s', g.privilege_type, c.attname, c.named,
    case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
    case when g.is_grantable then ' with grant option' else '' end)
  from columns c cross join aclexplode(c.attacl) g
union all
select 4, relname, null, format('alter view %s owner to %I', named, pg_get_userbyid(relowner)) from ours
  where pg_get_userbyid(relowner) <> current_user
order by 1, 2, 3
"""
_GIVEN = """
select c.relname, format('revoke all on %I.%I from %s', n.nspname, c.relname,
    case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join aclexplode(c.relacl) g where n.nspname = current_schema() and c.relname = any(:names)
"""
_COLUMNS = """
select c.relname, a.attname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = current_schema() and c.relname = any(:names)
"""
_OPTIONS = """
select array_to_string(c.reloptions, ', ') from pg_catalog.pg_class c join pg_catalog.pg_namespace n
  on n.oid = c.relnamespace where n.nspname = current_schema() and c.relname = :name
"""
_VERBATIM = {"no_parameters": True}
"""Execution option for a statement without parameters, which may contain a per cent sign."""


class Attached(Struct, frozen=True, kw_only=True):
    """Statement that attaches something to a view again; `column`: the column that it concerns, None for the view."""

    view: str
    column: str | None
    statement: str


class Dependent(Struct, frozen=True, kw_only=True):
    """Object that depends on one of vnsync's (`upon`). `view`: its name if it is one of vnsync's own views."""

    upon: str
    description: str
    view: str | None


def dependents(connection: Connection, names: Collection[str]) -> list[Dependent]:
    """Objects that depend on these tables and views, both others' and vnsync's; SQLite does not record that."""
    if connection.dialect.name == "sqlite":
        return []
    rows = connection.execute(text(_DEPENDENTS), {"names": list(names)})
    ours = set(views.NAMES)
    return [
        Dependent(upon=upon, description=description, view=view if here and view in ours else None)
        for upon, view, here, description in rows
    ]


def ours_upon(connection: Connection, name: str) -> list[str]:
    """The views of vnsync that depend on this one."""
    return [each.view for each in dependents(connection, [name]) if each.view]


def refuse_dependents(connection: Connection, names: Collection[str]) -> None:
    """Raise `Misconfigured`, with its name, if an object that is not vnsync's depends on one of these."""
    for each in dependents(connection, names):
        if each.view is None:
            raise Misconfigured(
                f"the {each.description} depends on {each.upon}, which has to be replaced; nothing was changed",
                remedy="Drop it, run this command again, and create it again",
            )


def read(connection: Connection, names: Collection[str]) -> list[Attached]:
    """Everything that others attached to these views; in SQLite these are triggers."""
    if connection.dialect.name == "sqlite":
        return list(_triggers(connection, names))
    rows = connection.execute(text(_STATEMENTS), {"names": list(names)})
    return [Attached(view=view, column=column, statement=statement) for _, view, column, statement in rows]


def _triggers(connection: Connection, names: Collection[str]) -> Iterator[Attached]:
    for view, sql in connection.exec_driver_sql("select tbl_name, sql from sqlite_master where type = 'trigger'"):
        if view in names:
            yield Attached(view=view, column=None, statement=sql)


def options(connection: Connection, name: str) -> str:
    """The clause with a PostgreSQL view's options, for a statement that replaces the view and would reset them."""
    found = connection.scalar(text(_OPTIONS), {"name": name})
    return f"with ({found}) " if found else ""


def put_back(connection: Connection, kept: Collection[Attached]) -> None:
    """Attach everything again to views that were created again, except for columns that no longer exist."""
    columns: set[tuple[str, str]] = set()
    if connection.dialect.name == "postgresql":
        granted = {each.view for each in kept if each.statement.startswith("grant")}
        for _, statement in connection.execute(text(_GIVEN), {"names": list(granted)}).all():
            connection.exec_driver_sql(statement, execution_options=_VERBATIM)
        names = [each.view for each in kept]
        columns = {(view, column) for view, column in connection.execute(text(_COLUMNS), {"names": names})}
    for each in kept:
        if each.column is None or (each.view, each.column) in columns:
            connection.exec_driver_sql(each.statement, execution_options=_VERBATIM)
