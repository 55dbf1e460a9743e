"""What the drivers raise, told in our own tree: what is wrong, what to do about it, and never the rows' data.

PostgreSQL quotes rows in DETAIL and CONTEXT, and values in the messages of class 22 (and of triggers, P0). None of that
is passed on, neither in our errors nor in the drivers' own that they are raised from.
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from etl.errors import (
    BeyondServer,
    IntegrityBroken,
    LocalTrouble,
    Misconfigured,
    NotAllowed,
    TryLater,
    Unavailable,
    UnreadableValue,
    VnsyncError,
)
from etl.store.constraints import forbidden_by_postgresql, forbidden_by_sqlite

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

ROLES = "docs/postgresql-roles.sql"
DAMAGED = "The file is damaged or no SQLite database; restore a backup"
_DOWN = "Check that the server runs and is reachable; nothing was half-published"
_TIMEOUT = "If the server's {0} is too short for this work: ALTER ROLE ... SET {0} = 0; else run again later"

_BY_SQLSTATE: tuple[tuple[str, type[VnsyncError], str | None], ...] = (
    ("28", NotAllowed, "Check user and password of the database URL"),
    ("3D000", Misconfigured, "Create the database, or mend its name in the database URL"),
    ("3F000", Misconfigured, "Create the schema, or mend VNSYNC_DATABASE_SCHEMA"),
    ("53100", LocalTrouble, "Free space on the database server; nothing was half-published"),
    ("53", TryLater, "The server is short of connections or memory; run again later"),
    (
        "25006",
        Unavailable,
        "It takes no writes: connect to the primary, or end default_transaction_read_only",
    ),
    ("25P03", TryLater, _TIMEOUT.format("idle_in_transaction_session_timeout")),
    ("25P04", TryLater, _TIMEOUT.format("transaction_timeout")),
    ("40", TryLater, "Another program changed the same rows at the same time; run again"),
    ("54", BeyondServer, None),
    ("55P03", TryLater, "Another session holds a lock (see pg_stat_activity); run again when it is done"),
    ("57014", TryLater, _TIMEOUT.format("statement_timeout")),
    ("08", Unavailable, _DOWN),
    ("57", Unavailable, _DOWN),
    ("58", LocalTrouble, "Look into the database server's log and at its disk"),
    ("XX", IntegrityBroken, "Look into the database server's log; restore a backup if data is damaged"),
    ("42P01", IntegrityBroken, None),
    ("42703", IntegrityBroken, None),
)

_BY_WORDS: tuple[tuple[str, type[VnsyncError], str], ...] = (
    ("password authentication failed", NotAllowed, "Check user and password of the database URL"),
    ("no password supplied", NotAllowed, "Check user and password of the database URL"),
    ("no pg_hba.conf entry", NotAllowed, "Let this machine and user in (pg_hba.conf)"),
    ("is not permitted to log in", NotAllowed, "ALTER ROLE ... LOGIN, or use another role in the database URL"),
    ("permission denied for database", NotAllowed, "GRANT CONNECT ON DATABASE ... TO the role of the database URL"),
    ("too many clients", TryLater, "The server has no free connections; run again later"),
    ("too many connections", TryLater, "The server has no free connections; run again later"),
    ("remaining connection slots", TryLater, "The server has no free connections; run again later"),
    ("no more connections allowed", TryLater, "The pooler has no free connections; run again later"),
    ("No space left on device", LocalTrouble, "Free space on the database server; nothing was half-published"),
    ("could not write init file", LocalTrouble, "Free space on the database server; nothing was half-published"),
    ("query_wait_timeout", TryLater, "The pooler has no free connections; run again later"),
)
"""While a connection is made the driver knows no SQLSTATE: what is left are the server's words."""

_UNKNOWN_NAME = re.compile(r'(?P<kind>database|role) "[^"]*" does not exist')


def translated(original: BaseException | None) -> VnsyncError:
    """The error of our own tree for a driver's."""
    return _of_sqlite(original) if isinstance(original, sqlite3.Error) else _of_postgresql(original)


def strip(original: BaseException, wrapper: DBAPIError | None = None) -> None:
    """Take from a driver's error, and from SQLAlchemy's around it, what may quote rows: a traceback shows them too."""
    if not isinstance(original, sqlite3.Error):
        original.args = (_safe_line(original),)
    if wrapper is not None:
        wrapper.args = (f"({type(original).__name__}) {_safe_line(original)}",)


def _safe_line(error: BaseException | None) -> str:
    """The first line only, for what follows it may quote rows; and no line of a class that quotes values in it."""
    if (getattr(error, "sqlstate", None) or "").startswith(("22", "P0")):
        return f"{type(error).__name__}: a value that the database refuses"
    return str(error).strip().split("\n")[0]


def _of_postgresql(error: BaseException | None) -> VnsyncError:
    state = getattr(error, "sqlstate", None) or ""
    if not state and type(error).__name__ == "DataError":  # psycopg's own, of a value that Python does not have
        return UnreadableValue()
    if forbidden := forbidden_by_postgresql(error):
        return forbidden
    cause = f"PostgreSQL: {_safe_line(error)}"
    if state == "42501":
        return NotAllowed(cause, remedy=f"GRANT the right to the role of the database URL; {ROLES} holds them all")
    for words, kind, remedy in _BY_WORDS:
        if words in cause:
            return kind(cause, remedy=remedy)
    for prefix, kind, remedy_or_none in _BY_SQLSTATE:
        if state.startswith(prefix):
            return kind(cause, remedy=remedy_or_none)
    unknown = _UNKNOWN_NAME.search(cause)
    if unknown and unknown["kind"] == "role":
        return NotAllowed(cause, remedy=f"Create the role ({ROLES}), or mend its name in the database URL")
    if unknown:
        return Misconfigured(cause, remedy="Create the database, or mend its name in the database URL")
    return IntegrityBroken(cause) if state else Unavailable(cause, remedy=_DOWN)


def _of_sqlite(error: sqlite3.Error) -> VnsyncError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if forbidden := forbidden_by_sqlite(error):
        return forbidden
    cause = f"SQLite: {_safe_line(error)}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TryLater(cause, remedy="Another program writes to the file; run again later")
    if name.startswith("SQLITE_READONLY_DBMOVED"):
        return IntegrityBroken(cause, remedy="The file was moved or replaced while in use; see which one is right")
    if name.startswith("SQLITE_TOOBIG"):
        return BeyondServer(cause)
    if not name and "Could not decode" in cause:
        return UnreadableValue()
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return IntegrityBroken(cause, remedy=DAMAGED)
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return LocalTrouble(cause)
    return IntegrityBroken(cause)
