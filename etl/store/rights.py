"""Rights that a PostgreSQL role needs for a sync: checked in a few queries, before anything is read or written.

The grants themselves are in `docs/postgresql-roles.sql`; the rights that a sync needs are declared here by table.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from etl.errors import Misconfigured, NotAllowed, Unavailable
from etl.store import schema

ROLES = "docs/postgresql-roles.sql"
READ = ("SELECT",)
ADD = ("SELECT", "INSERT")
MOVE = ("SELECT", "INSERT", "DELETE")
EDIT = ("SELECT", "INSERT", "UPDATE")
KEEP = ("SELECT", "INSERT", "UPDATE", "DELETE")

NEEDED: dict[str, tuple[str, ...]] = {
    schema.VERSION_TABLE: READ,
    "sync_runs": EDIT,
    "installations": ADD,
    "accounts": EDIT,
    "source_drift": EDIT,
    "account_syncs": ADD,
    "chain_sections": ADD,
    "erasures": READ,
    "quarantine": ADD,
    "first_reported": ADD,
    "account_claims": MOVE,
    "point_budgets": EDIT,
    "listing_states": MOVE,
    "listing_windows": MOVE,
    **{table.name: KEEP for table in schema.current.values()},
    **{table.name: ADD for table in schema.closed.values()},
}
"""Rights by table. Closed versions are only added: no right here changes or deletes one."""

_TABLES = """
select c.relname, array_remove(array[
    case when has_table_privilege(c.oid, 'SELECT') then 'SELECT' end,
    case when has_table_privilege(c.oid, 'INSERT') then 'INSERT' end,
    case when has_any_column_privilege(c.oid, 'UPDATE') then 'UPDATE' end,
    case when has_table_privilege(c.oid, 'DELETE') then 'DELETE' end], null) as held
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = current_schema() and c.relname = any(:names) order by c.relname
"""
_AROUND = """
select current_setting('transaction_read_only') = 'on' as reads_only,
  current_user::text as role, current_database()::text as database,
  has_database_privilege(current_database(), 'TEMP') as temporary,
  (select bool_and(has_sequence_privilege(s.oid, 'USAGE')) from pg_catalog.pg_class s
    join pg_catalog.pg_namespace n on n.oid = s.relnamespace
    where n.nspname = current_schema() and s.relname = 'quarantine_quarantine_id_seq') as numbered
"""
_CLOSED_SCHEMAS = """
select nspname from pg_catalog.pg_namespace
where nspname = any(:names) and not has_schema_privilege(oid, 'USAGE') order by nspname
"""


def check(connection: Connection) -> None:
    """Raise `NotAllowed` with the first missing right, its object and its grant.

    Raises `Unavailable` if nothing can be written: on a standby, or if the role or database is set to read only.
    """
    reads_only, role, database, temporary, numbered = connection.execute(text(_AROUND)).one()
    if reads_only:
        raise Unavailable(
            "the server allows only read-only transactions (a standby, or default_transaction_read_only)",
            remedy="Connect to the primary, or end default_transaction_read_only; the commands that read work here",
        )
    if not temporary:
        raise _missing("TEMPORARY", f"DATABASE {database}", role)
    if numbered is False:
        raise _missing("USAGE", "SEQUENCE quarantine_quarantine_id_seq", role)
    for name, held in connection.execute(text(_TABLES), {"names": list(NEEDED)}):
        missing = [right for right in NEEDED[name] if right not in held]
        if missing:
            raise _missing(", ".join(missing), f"TABLE {name}", role)


def require_schema(connection: Connection) -> None:
    """Raise if the search path has no usable schema: none exists, or the role may not use it."""
    if connection.scalar(text("select current_schema()")) is not None:
        return
    role, path = connection.execute(text("select current_user::text, current_setting('search_path')")).one()
    names = [name.strip().strip('"').replace("$user", role) for name in path.split(",")]
    closed = connection.scalars(text(_CLOSED_SCHEMAS), {"names": names}).first()
    if closed:
        raise _missing("USAGE", f"SCHEMA {closed}", role)
    raise Misconfigured(
        f"none of the schemas of the search path exists ({path})", remedy="Create it, or correct VNSYNC_DATABASE_SCHEMA"
    )


def _missing(right: str, what: str, role: str) -> NotAllowed:
    return NotAllowed(
        f"the database role {role} lacks {right} on {what.lower().split()[0]} {what.split()[1]}",
        remedy=f"GRANT {right} ON {what} TO {role}; {ROLES} holds all grants",
    )
