"""Locks that end with their holder: an advisory lock of a PostgreSQL transaction, or a file lock next to a SQLite file.

A run holds one lock, named after its run id, until it ends. If another process can take that lock, the run is dead,
whatever its row says, and nothing has to be cleared by hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from etl.errors import LocalTrouble, TryLater
from etl.files import WrongKind, refuse_special
from etl.store.engine import database_errors
from etl.store.lock_holders import holder_of

LOCK_TIMEOUT = "55P03"
FOREIGN = "vnsync makes plain files there; find out what put this in their place, and remove it"
REMEDY = "Let it finish; if it is none of vnsync's, an administrator may end it: select pg_terminate_backend(PID)"


@contextlib.contextmanager
def hold_run(engine: Engine, run_id: int) -> Iterator[bool]:
    """Hold the run's lock for the length of the block; it ends with the process in any case.

    False if it is taken already: another run that began in the same moment drew the same id.
    """
    with _hold_in_postgresql(engine, run_id) if engine.name == "postgresql" else _hold_file(engine, run_id) as held:
        yield held


def is_dead(connection: Connection, run_id: int) -> bool:
    """Whether the run's lock is free. If it is, PostgreSQL holds it until `connection`'s transaction ends."""
    if connection.dialect.name == "postgresql":
        return _try_lock(connection, run_id)
    path = _lock_file(connection.engine, run_id)
    return path is None or _remove_if_free(path)


def sweep(connection: Connection) -> None:
    """Remove the lock files of dead runs, including those that died before they had a row; keep those of live runs.

    The caller is about to write to the SQLite file. PostgreSQL's locks leave nothing behind.
    """
    sample = None if connection.dialect.name == "postgresql" else _lock_file(connection.engine, 0)
    if sample is None:
        return
    start, end = sample.name.split("0.lock")[0], ".lock"
    for entry in os.listdir(sample.parent):
        if entry.startswith(start) and entry.endswith(end):
            _remove_if_free(sample.parent / entry)


def hold_schema(connection: Connection) -> None:
    """Take the lock for beginning runs, claiming accounts and changing the schema, until the transaction ends.

    In SQLite a transaction begun as `immediate` is that lock already. Both waits are limited: for PostgreSQL,
    `TryLater` names the session that holds the lock.
    """
    if connection.dialect.name != "postgresql":
        return
    key = _key(connection, 0)
    try:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": key})
    except OperationalError as exc:
        if getattr(exc.orig, "sqlstate", None) != LOCK_TIMEOUT:
            raise
        with connection.engine.connect() as other:  # the transaction of `connection` has failed and takes no query
            held_by = holder_of(other, key)
        raise TryLater(f"another session holds the warehouse's lock: {held_by or 'gone now'}", remedy=REMEDY) from exc


def holder_of_run(connection: Connection, run_id: int) -> str | None:
    """The session that holds the run's lock in PostgreSQL, in words; None if it is unknown, and in SQLite."""
    return holder_of(connection, _key(connection, run_id)) if connection.dialect.name == "postgresql" else None


@contextlib.contextmanager
def _hold_in_postgresql(engine: Engine, run_id: int) -> Iterator[bool]:
    with database_errors():
        connection = engine.connect()
    try:
        with database_errors():
            held = _try_lock(connection, run_id)
        yield held
    finally:
        connection.invalidate()  # closes the connection, and with it the transaction and its lock
        connection.close()


def _try_lock(connection: Connection, run_id: int) -> bool:
    """Try to take the run's lock. The statement has no parameters: with them its snapshot would block vacuum."""
    key = _key(connection, run_id)
    return bool(connection.exec_driver_sql(f"select pg_try_advisory_xact_lock({key:d})").scalar())


def _key(connection: Connection, run_id: int) -> int:
    """A 64-bit key for a run (0: the schema) in the connection's current schema."""
    schema = connection.scalar(text("select current_schema()"))
    digest = hashlib.sha256(f"vnsync\0{schema}\0{run_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@contextlib.contextmanager
def _hold_file(engine: Engine, run_id: int) -> Iterator[bool]:
    path = _lock_file(engine, run_id)
    if path is None:
        yield True
        return
    descriptor = _lock(path)
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock_file(engine: Engine, run_id: int) -> Path | None:
    """Path of a run's lock, with links resolved; None for a database in memory, which no other process sees."""
    database = engine.url.database
    return None if database in (None, "", ":memory:") else Path(f"{os.path.realpath(database)}.run-{run_id}.lock")


def _remove_if_free(path: Path) -> bool:
    """Remove a lock file if its lock is free. Returns whether it was."""
    descriptor = _lock(path)
    if descriptor is None:
        return False
    path.unlink(missing_ok=True)
    os.close(descriptor)
    return True


def _lock(path: Path) -> int | None:
    """An open descriptor that holds the file's lock; None if another process holds it."""
    while True:
        descriptor = _open_locked(path)
        if descriptor is None or _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # the last holder removed this file after we opened it: its lock is worth nothing


def _open_locked(path: Path) -> int | None:
    import fcntl

    try:
        descriptor = _opened(path)
    except WrongKind as exc:
        raise LocalTrouble(f"cannot use the lock file {path}: {exc.strerror}", remedy=FOREIGN) from exc
    except OSError as exc:
        raise LocalTrouble(f"cannot write the lock file {path}: {exc.strerror}") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as exc:
        os.close(descriptor)
        raise LocalTrouble(f"cannot lock the file {path}: {exc.strerror}") from exc
    return descriptor


def _opened(path: Path) -> int:
    """Descriptor of the lock file, which is made if there is none; links are never followed."""
    with contextlib.suppress(FileNotFoundError):
        refuse_special(path.lstat().st_mode, path)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        refuse_special(os.fstat(descriptor).st_mode, path)
    except WrongKind:
        os.close(descriptor)
        raise
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
