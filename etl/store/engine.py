"""Opening the warehouse, and turning what the drivers raise into what the operator can do about it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from etl.errors import IntegrityBroken, LocalTrouble, Misconfigured, NotAllowed, TryLater, Unavailable, VnsyncError

BUSY_SECONDS = 30.0
"""How long a writer waits for another before it gives up until later."""
SQLITE_MINIMUM = (3, 35)
POSTGRESQL_MINIMUM = (14,)


def open_warehouse(url: str, *, schema: str | None = None) -> Engine:
    """An engine for a SQLAlchemy URL of SQLite or PostgreSQL; `schema` is set as PostgreSQL's search path.

    A new SQLite file is readable by its owner only. Raises `Misconfigured` or `LocalTrouble`; the first connection
    raises what `database_errors` makes of it.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    return _open_postgresql(parsed, schema)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as exc:
        raise Misconfigured("the database URL cannot be read", remedy="Use sqlite:///FILE or postgresql://...") from exc
    if backend not in ("sqlite", "postgresql"):
        raise Misconfigured(f"{backend} is not supported", remedy="Use sqlite:///FILE or postgresql://...")
    return parsed.set(drivername="postgresql+psycopg" if backend == "postgresql" else "sqlite")


# -- SQLite


def _open_sqlite(url: URL) -> Engine:
    if sqlite3.sqlite_version_info < SQLITE_MINIMUM:
        raise Misconfigured(f"SQLite {sqlite3.sqlite_version} is too old", remedy="Use SQLite 3.35 or newer")
    in_memory = url.database in (None, "", ":memory:")
    if not in_memory:
        _create_private(Path(str(url.database)))
    pool: dict[str, Any] = {"poolclass": StaticPool if in_memory else NullPool}
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _create_private(path: Path) -> None:
    """Make the file with mode 0600 before SQLite makes it with the umask's; its journal inherits the mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as exc:
        raise LocalTrouble(f"cannot write the database file {path}: {exc.strerror}") from exc


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, by the statement below
    for pragma in ("journal_mode=wal", "synchronous=full", "cache_size=-65536", "mmap_size=268435456"):
        connection.execute(f"pragma {pragma}").fetchall()


def _begin_sqlite(connection: Connection) -> None:
    wanted = connection.get_execution_options().get("sqlite_begin", "deferred")
    connection.exec_driver_sql(f"begin {wanted}")


# -- PostgreSQL


def _open_postgresql(url: URL, schema: str | None) -> Engine:
    arguments: dict[str, Any] = {"application_name": "vnsync", "connect_timeout": 10}
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments, use_native_hstore=False)
    event.listen(engine, "begin", lambda connection: _begin_postgresql(connection, schema))
    return engine


def _begin_postgresql(connection: Connection, schema: str | None) -> None:
    """Settings of the transaction, not of the session: a pooler between us and the server may change sessions."""
    path = f"set local search_path to {connection.dialect.identifier_preparer.quote(schema)}; " if schema else ""
    connection.exec_driver_sql(f"{path}set local idle_in_transaction_session_timeout = 0; set local timezone = 'UTC'")


@contextlib.contextmanager
def begin_writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that will write: in SQLite it waits for its turn at once, not half-way through."""
    with engine.connect() as connection, connection.execution_options(sqlite_begin="immediate").begin():
        yield connection


# -- errors

_BY_SQLSTATE: tuple[tuple[str, type[VnsyncError], str | None], ...] = (
    ("28", NotAllowed, "Check user and password of the database URL"),
    ("42501", NotAllowed, "Grant the missing right to the role of the database URL"),
    ("3D000", Misconfigured, "Create the database, or mend its name in the database URL"),
    ("3F000", Misconfigured, "Create the schema, or mend VNSYNC_DATABASE_SCHEMA"),
    ("53100", LocalTrouble, "The database server's disk is full"),
    ("53300", TryLater, "The server has no free connections"),
    ("25006", NotAllowed, "The database is read-only; connect to the primary server"),
    ("40", TryLater, None),
    ("55P03", TryLater, None),
    ("57014", TryLater, "A statement took longer than the server allows"),
    ("08", Unavailable, None),
    ("57", Unavailable, None),
    ("53", TryLater, None),
)


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turn what SQLAlchemy and the drivers raise inside into errors of our own tree, without the rows' data."""
    try:
        yield
    except DBAPIError as exc:
        raise _translated(exc) from exc
    except SQLAlchemyError as exc:
        raise IntegrityBroken(f"the database layer failed: {type(exc).__name__}") from exc


def _translated(exc: DBAPIError) -> VnsyncError:
    original = exc.orig
    if isinstance(original, sqlite3.Error):
        return _of_sqlite(original)
    state = getattr(original, "sqlstate", None) or ""
    cause = f"PostgreSQL: {_first_line(original)}"
    for prefix, kind, remedy in _BY_SQLSTATE:
        if state.startswith(prefix):
            return kind(cause, remedy=remedy)
    if "password authentication failed" in cause or "no password supplied" in cause:
        return NotAllowed(cause, remedy="Check user and password of the database URL")
    if 'database "' in cause and "does not exist" in cause:
        return Misconfigured(cause, remedy="Create the database, or mend its name in the database URL")
    if state:
        return IntegrityBroken(cause)
    return Unavailable(cause, remedy="Check that the server runs and is reachable; nothing was half-published")


def _of_sqlite(error: sqlite3.Error) -> VnsyncError:
    name = getattr(error, "sqlite_errorname", "") or ""
    cause = f"SQLite: {_first_line(error)}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TryLater(cause, remedy="Another program writes to the file; run again later")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return IntegrityBroken(cause, remedy="The file is damaged or no SQLite database; restore a backup")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")):
        return LocalTrouble(cause)
    return IntegrityBroken(cause)


def _first_line(error: BaseException | None) -> str:
    """The first line only: what follows it may quote rows."""
    return str(error).strip().split("\n")[0]
