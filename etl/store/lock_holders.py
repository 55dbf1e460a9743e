"""Lock holders: sessions with an advisory lock in PostgreSQL. Any role that may connect can take such a lock."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, text

_HOLDER = text("""
select l.pid, a.usename as role, a.application_name as application,
  to_char(coalesce(a.xact_start, a.backend_start) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as since,
  coalesce(has_table_privilege(a.usesysid, to_regclass('sync_runs')::oid, 'INSERT'), true) as may_sync
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_database where datname = current_database())
  and l.classid::bigint = :high and l.objid::bigint = :low
order by l.pid limit 1
""")


def holder_of(connection: Connection, key: int) -> str | None:
    """The session that holds the advisory lock `key`, in words: process id, role, application, and start time.

    None if the lock is free by now. The time is left out if the role of the connection may not see the other session.
    """
    unsigned = key % 2**64
    halves = {"high": unsigned >> 32, "low": unsigned & 0xFFFF_FFFF}
    found = connection.execute(_HOLDER, halves).first()
    return None if found is None else _in_words(found)


def _in_words(found: Row[Any]) -> str:
    role = f"role {found.role!a}" if found.role else "a role unknown"
    application = f", application {found.application!a}" if found.application else ""
    since = f", since {found.since} UTC" if found.since else ""
    none = "" if found.may_sync else ", which has no rights on the warehouse"
    return f"process {found.pid}, {role}{application}{since}{none}"
