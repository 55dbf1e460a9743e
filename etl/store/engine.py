"""Engine of the warehouse: how it is opened, and how errors of the drivers become errors with a remedy."""

from __future__ import annotations

import contextlib
import glob
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from etl.errors import IntegrityBroken, LocalTrouble, Misconfigured, UnreadableValue
from etl.files import refuse_special
from etl.store import home, patience, read_only, threads
from etl.store.connecting import SETTING
from etl.store.driver_errors import strip, translated
from etl.store.pools import KeepingPool
from etl.store.sqlite_functions import FUNCTIONS
from etl.store.streams import closing_streams

BUSY_SECONDS = 30.0
"""How long a writer waits for another one before it fails with `TryLater`."""
SQLITE_MINIMUM = (3, 35)
SQLITE_HEADER = 100
"""Size in bytes of a SQLite file's header."""
POSTGRESQL_MINIMUM = 14
READING = "vnsync_reading"
"""Execution option of a connection that sees one moment of the warehouse."""
DOUBTFUL = "vnsync_doubtful"
"""Execution option of an engine whose SQLite file its last user did not close: the file is checked before use."""


def open_warehouse(url: str, *, schema: str | None = None) -> Engine:
    """An engine for a SQLAlchemy URL of SQLite or PostgreSQL. `schema`: for PostgreSQL; None: from the search path.

    A new SQLite file is readable by its owner only. Raises `Misconfigured` or `LocalTrouble`; errors of the first
    connection are for `database_errors`.
    """
    parsed = _parsed(url)
    try:
        return _open_sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _open_postgresql(parsed, schema)
    except (ArgumentError, ValueError) as exc:  # wrong ports and numbers in the URL; they may quote a password
        raise _unreadable() from exc


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as exc:
        raise _unreadable() from exc
    if backend not in ("sqlite", "postgresql"):
        raise Misconfigured(f"{backend} is not supported", remedy="Use sqlite:///FILE or postgresql://...")
    return parsed.set(drivername="postgresql+psycopg" if backend == "postgresql" else "sqlite")


def _unreadable() -> Misconfigured:
    return Misconfigured(
        "the database URL cannot be read", remedy=f"Correct {SETTING}: sqlite:///FILE or postgresql://..."
    )


# -- SQLite


def _open_sqlite(url: URL) -> Engine:
    if sqlite3.sqlite_version_info < SQLITE_MINIMUM:
        raise Misconfigured(f"SQLite {sqlite3.sqlite_version} is too old", remedy="Use SQLite 3.35 or newer")
    in_memory = url.database in (None, "", ":memory:")
    doubtful, closed = False, None
    if not in_memory:
        path = Path(str(url.database))
        _ensure_file(path)
        doubtful = _left_by_a_killed_process(path)
        closed = read_only.examine(path)
    more: dict[str, Any] = {"poolclass": StaticPool if in_memory else KeepingPool}
    arguments = {"timeout": float(str(url.query.get("timeout", BUSY_SECONDS))), "check_same_thread": False}
    options = {DOUBTFUL: doubtful, read_only.OPTION: closed}
    if closed is not None:
        more["creator"] = lambda: closed.connect(arguments)
    engine = create_engine(url, connect_args=arguments, execution_options=options, hide_parameters=True, **more)
    event.listen(engine, "connect", _prepare_sqlite if closed is None else _prepare_reading)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _strip)
    threads.prepare(engine)
    return engine


def _ensure_file(path: Path) -> None:
    """Make a warehouse file if there is none. Refuse one that was cut short: SQLite would start it as an empty one."""
    try:
        refuse_special(path.stat().st_mode, path)
        with open(path, "rb+" if os.access(path, os.W_OK) else "rb") as file:
            header, size = file.read(SQLITE_HEADER), path.stat().st_size
    except FileNotFoundError:
        _make_file(path)
        return
    except OSError as exc:
        raise LocalTrouble(f"cannot write the database file {path}: {exc.strerror}") from exc
    if size < SQLITE_HEADER or (size % _page_size(header) and not _has_journal(path)):
        raise IntegrityBroken(
            f"the database file {path} was cut short ({size} bytes are left)",
            remedy=_EMPTY if not size else "Restore a backup; to begin with an empty warehouse, delete the file",
        )


_EMPTY = (
    "Restore a backup; to begin with an empty warehouse, delete the file. One that is mounted into a container alone"
    " cannot be deleted: mount its folder, because SQLite needs more files in it"
)


def _page_size(header: bytes) -> int:
    """The page size that the file states; 1 if it is no SQLite file, which SQLite reports itself."""
    size = int.from_bytes(header[16:18], "big") if header.startswith(b"SQLite format 3\0") else 1
    return 65_536 if size == 1 and header.startswith(b"SQLite") else max(size, 1)


def _make_file(path: Path) -> None:
    """Make an empty database in WAL mode, readable by its owner only; its journal inherits the mode.

    The file gets its name when it is complete: a process that is killed here leaves no file that looks like a lost
    warehouse.
    """
    new = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(new)) as connection:
            connection.execute("pragma journal_mode=wal").fetchall()
        _name(new, path)
    except (OSError, sqlite3.Error) as exc:
        raise LocalTrouble(f"cannot write the database file {path}: {getattr(exc, 'strerror', exc)}") from exc
    finally:
        for left in (new, *(Path(f"{new}{suffix}") for suffix in ("-wal", "-shm", "-journal"))):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)


def _name(new: Path, path: Path) -> None:
    """Give the file its name, unless another process has just done so, and make the name durable."""
    with contextlib.suppress(FileExistsError):
        try:
            os.link(new, path)
        except PermissionError:  # a file system without hard links
            os.rename(new, path)
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _left_by_a_killed_process(path: Path) -> bool:
    """Whether there is a journal or a run's lock next to the file: its last user was killed, or is still at work."""
    return _has_journal(path) or any(path.parent.glob(f"{glob.escape(path.name)}.run-*.lock"))


def _has_journal(path: Path) -> bool:
    wal = Path(f"{path}-wal")
    return wal.exists() and wal.stat().st_size > 0


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # `_begin_sqlite` begins each transaction
    for pragma in ("journal_mode=wal", "synchronous=full"):
        connection.execute(f"pragma {pragma}").fetchall()
    _prepare_reading(connection, _record)


def _prepare_reading(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("cache_size=-49152", "mmap_size=67108864"):
        connection.execute(f"pragma {pragma}").fetchall()
    for name, arity, function in FUNCTIONS:
        connection.create_function(name, arity, function, deterministic=True)


def _begin_sqlite(connection: Connection) -> None:
    wanted = connection.get_execution_options().get("sqlite_begin", "deferred")
    connection.exec_driver_sql(f"begin {wanted}")


# -- PostgreSQL


def _open_postgresql(url: URL, schema: str | None) -> Engine:
    arguments = _unless_given(url, application_name="vnsync", connect_timeout=10)
    arguments |= {"client_encoding": "utf8", "autocommit": False}
    arguments["prepare_threshold"] = None  # a prepared statement belongs to one server session; a pooler changes them
    choice = home.SchemaChoice(asked=schema)
    engine = create_engine(
        url,
        poolclass=NullPool,
        connect_args=arguments,
        execution_options={home.SCHEMA_CHOICE: choice},
        use_native_hstore=False,
        hide_parameters=True,
        json_deserializer=bytes.decode,  # JSON is read as text, as in SQLite: a double would lose digits
    )
    event.listen(engine, "begin", lambda connection: _begin_postgresql(connection, choice))
    event.listen(engine, "handle_error", _strip)
    event.listen(engine, "handle_error", _abandon)
    threads.prepare(engine)
    patience.prepare(engine)
    return engine


def _unless_given(url: URL, **ours: Any) -> dict[str, Any]:
    """Our options that neither URL nor environment sets. Raises `Misconfigured` for an option that libpq lacks.

    The driver would take other names as its own arguments, and one of those turns off transactions.
    """
    from psycopg.pq import Conninfo  # only where PostgreSQL is

    known = {option.keyword.decode(): option.val for option in Conninfo.get_defaults()}
    for name in url.query:
        if name not in known:
            raise Misconfigured(f"PostgreSQL knows no connection option {name!r}", remedy=f"Remove it from {SETTING}")
    if "service" in url.query or known["service"] is not None:  # the service file may set them
        return {}
    return {name: value for name, value in ours.items() if name not in url.query and known[name] is None}


def _abandon(context: ExceptionContext) -> None:
    """Mark a connection as unusable if a signal or lack of memory interrupted its statement."""
    if context.sqlalchemy_exception is None and context.connection is not None and break_off(context.connection):
        context.is_disconnect = True


def break_off(connection: Connection) -> bool:
    """Cancel a statement that something other than the server interrupted: the server would continue it, with locks.

    True if there was one; the connection must not be used again then.
    """
    if connection.dialect.name != "postgresql" or connection.invalidated or connection.closed:
        return False
    driver: Any = connection.connection.driver_connection
    if driver.info.transaction_status.name != "ACTIVE":
        return False
    with contextlib.suppress(Exception):
        driver.cancel_safe(timeout=2)
    return True


def _begin_postgresql(connection: Connection, choice: home.SchemaChoice) -> None:
    """Begin with settings of the transaction, not of the session, because a pooler may change sessions.

    Whatever server, database and role have set, times are read in one form, waits are limited, and a run that waits
    for the network while it holds its lock does not count as idle.
    """
    level = "repeatable read, read only" if connection.get_execution_options().get(READING) else "read committed"
    path = home.path(choice)
    connection.exec_driver_sql(f"set transaction isolation level {level}; {_TRANSACTION}{path}{_TIMEOUTS}{_DURABLE}")
    home.pin(connection, choice)


_TRANSACTION = (
    "set local idle_in_transaction_session_timeout = 0; "
    "set local timezone = 'UTC'; set local datestyle = 'ISO'; set local standard_conforming_strings = on; "
)
_TIMEOUTS = (
    "select set_config('lock_timeout', case current_setting('lock_timeout') when '0' then '30s' "
    "else current_setting('lock_timeout') end, true); "
    "select set_config('transaction_timeout', '0', true) "  # PostgreSQL 17 and newer
    "where current_setting('transaction_timeout', true) is not null; "
)
_DURABLE = (  # a commit survives a crash, even if the server is set to prefer speed
    "select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'"
)


@contextlib.contextmanager
def begin_writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that will write: in SQLite it waits for other writers now, not half-way through.

    Raises `LocalTrouble` if the SQLite file can only be read.
    """
    read_only.refuse_writing(engine)
    with (
        threads.turn_to_write(engine),
        engine.connect() as connection,
        connection.execution_options(sqlite_begin="immediate").begin(),
    ):
        yield connection


@contextlib.contextmanager
def begin_reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one moment of the warehouse until it is closed, whatever other sessions publish.

    In PostgreSQL it may not write. Unfinished streams (`streams`) are closed with it.
    """
    options = {READING: True}
    with (
        read_only.unchanged(engine),
        engine.connect() as connection,
        connection.execution_options(**options).begin(),
        closing_streams(connection),
    ):
        yield connection


def release_snapshot(connection: Connection) -> None:
    """Let vacuum remove old row versions: PostgreSQL keeps the snapshot of a query until the next statement.

    To be called when a transaction that has read continues with a wait.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("select 1")


# -- errors


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turn errors of SQLAlchemy and the drivers into errors of our own tree, without the data of rows."""
    try:
        yield
    except DBAPIError as exc:
        raise translated(exc.orig) from exc
    except _driver_errors() as exc:  # COPY and SQLite's bulk insert do not use SQLAlchemy
        strip(exc)
        raise translated(exc) from exc
    except ValueError as exc:  # a stored text or time that is not readable
        raise UnreadableValue from exc
    except SQLAlchemyError as exc:
        raise IntegrityBroken(f"the database layer failed: {type(exc).__name__}") from exc


def _driver_errors() -> tuple[type[Exception], ...]:
    """The drivers' own error classes; psycopg is not imported for them."""
    psycopg = sys.modules.get("psycopg")
    return (sqlite3.Error, psycopg.Error) if psycopg else (sqlite3.Error,)


def _strip(context: ExceptionContext) -> None:
    wrapper = context.sqlalchemy_exception
    strip(context.original_exception, wrapper if isinstance(wrapper, DBAPIError) else None)
