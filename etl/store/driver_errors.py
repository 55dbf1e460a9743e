"""Errors of the drivers, translated into vnsync's own tree: the cause, the remedy, and never the data of rows.

PostgreSQL quotes rows in DETAIL and CONTEXT, and values in the messages of class 22 (and of triggers, P0). None of this
is passed on, neither in our errors nor in the drivers' errors that caused them.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from etl.errors import (
    BeyondServer,
    IntegrityBroken,
    LocalTrouble,
    Misconfigured,
    NoConnectionFree,
    NotAllowed,
    TryLater,
    Unavailable,
    UnreadableValue,
    VnsyncError,
)
from etl.store.connecting import DOWN, FULL, NO_SPACE, PASSWORD, ROLES, SETTING, by_words, refusal, telling_line
from etl.store.constraints import forbidden_by_postgresql, forbidden_by_sqlite

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

DAMAGED = "The file is damaged or no SQLite database; restore a backup"
_TIMEOUT = "If the server's {0} is too short for this work: ALTER ROLE ... SET {0} = 0; else run again later"

_BY_SQLSTATE: tuple[tuple[str, type[VnsyncError], str | None], ...] = (
    ("28", NotAllowed, PASSWORD),
    ("3D000", Misconfigured, f"Create the database, or correct its name in {SETTING}"),
    ("3F000", Misconfigured, "Create the schema, or correct VNSYNC_DATABASE_SCHEMA"),
    ("42501", NotAllowed, f"GRANT the right to the role of the database URL; {ROLES} holds them all"),
    ("53100", LocalTrouble, NO_SPACE),
    ("53300", NoConnectionFree, FULL),
    (
        "53400",
        LocalTrouble,
        "Let the role's queries have larger temporary files, as a superuser: ALTER ROLE ... SET temp_file_limit = -1",
    ),
    ("53", TryLater, "The server is short of memory; run again later"),
    (
        "25006",
        Unavailable,
        "The server is read-only: connect to the primary, or end default_transaction_read_only",
    ),
    ("25P03", TryLater, _TIMEOUT.format("idle_in_transaction_session_timeout")),
    ("25P04", TryLater, _TIMEOUT.format("transaction_timeout")),
    ("40", TryLater, "Another program changed the same rows at the same time; run again"),
    ("54", BeyondServer, None),
    ("55P03", TryLater, "Another session holds a lock (see pg_stat_activity); run again when it is done"),
    ("57014", TryLater, _TIMEOUT.format("statement_timeout")),
    ("08", Unavailable, DOWN),
    ("57", Unavailable, DOWN),
    ("58", LocalTrouble, "Look into the database server's log and at its disk"),
    ("XX", IntegrityBroken, "Look into the database server's log; restore a backup if data is damaged"),
    ("42P01", IntegrityBroken, None),
    ("42703", IntegrityBroken, None),
)
_NO_ROOM = (
    "Make room where the database file is, and in {0}, where SQLite keeps its temporary files (TMPDIR names another"
    " folder); nothing was half-published"
)
_USUAL = ("/var/tmp", "/usr/tmp", "/tmp")  # noqa: S108  # nosec B108 - named in a remedy; nothing is written there
_VAGUE = ("08", "58", "XX")
"""Classes that poolers and servers use for many causes: the words of the message may say more."""


def translated(original: BaseException | None) -> VnsyncError:
    """The error of our own tree for a driver's error."""
    return _of_sqlite(original) if isinstance(original, sqlite3.Error) else _of_postgresql(original)


def strip(original: BaseException, wrapper: DBAPIError | None = None) -> None:
    """Remove texts that may quote rows from a driver's error and from SQLAlchemy's around it: tracebacks show both."""
    if not isinstance(original, sqlite3.Error):
        original.args = (_safe_line(original),)
    if wrapper is not None:
        wrapper.args = (f"({type(original).__name__}) {_safe_line(original)}",)


def _safe_line(error: BaseException | None) -> str:
    """The first line only, because later ones may quote rows; no line of a class whose messages quote values."""
    state = getattr(error, "sqlstate", None) or ""
    if state.startswith(("22", "P0")):
        return f"{type(error).__name__}: a value that the database refuses"
    return str(error).strip().split("\n")[0] if state else telling_line(str(error))


def _of_postgresql(error: BaseException | None) -> VnsyncError:
    """The error by SQLSTATE; if it is missing or vague, by the words."""
    state, line, kind = getattr(error, "sqlstate", None) or "", _safe_line(error), type(error).__name__
    if not state:  # a DataError is then psycopg's own, for a value that Python cannot represent
        return UnreadableValue() if kind == "DataError" else refusal(line, of_options=kind == "ProgrammingError")
    if forbidden := forbidden_by_postgresql(error):
        return forbidden
    specific = by_words(line) if state.startswith(_VAGUE) else None
    return specific or _by_sqlstate(state, f"PostgreSQL: {line}")


def _by_sqlstate(state: str, cause: str) -> VnsyncError:
    for prefix, kind, remedy in _BY_SQLSTATE:
        if state.startswith(prefix):
            return kind(cause, remedy=remedy)
    return IntegrityBroken(cause)


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
    if name.startswith("SQLITE_FULL"):
        return LocalTrouble(cause, remedy=_NO_ROOM.format(_temporary_folder()))
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return LocalTrouble(cause)
    return IntegrityBroken(cause)


def _temporary_folder() -> str:
    """Folder for SQLite's temporary files: the first writable one, in SQLite's own order."""
    named = [os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR")]
    return next((f for f in (*named, *_USUAL) if f and os.access(f, os.W_OK)), _USUAL[-1])
