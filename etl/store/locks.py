"""Locks that die with their holder: a transaction-level advisory lock in PostgreSQL, a file lock beside a SQLite file.

A run holds one lock, named after its run id, for as long as it lives. So whoever can take that lock knows that the run
is dead, whatever its row says, and nobody has to clear anything by hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from etl.errors import LocalTrouble
from etl.store.engine import database_errors


@contextlib.contextmanager
def hold_run(engine: Engine, run_id: int) -> Iterator[None]:
    """Hold the run's lock for the length of the block; it goes with the process, however that ends."""
    with _hold_in_postgresql(engine, run_id) if engine.name == "postgresql" else _hold_file(engine, run_id):
        yield


def is_dead(connection: Connection, run_id: int) -> bool:
    """Whether nobody holds the run's lock. PostgreSQL keeps it for `connection`'s transaction, should it be free."""
    if connection.dialect.name == "postgresql":
        return bool(
            connection.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": _key(connection, run_id)})
        )
    path = _lock_file(connection.engine, run_id)
    if path is None:
        return True
    descriptor = _lock(path)
    if descriptor is None:
        return False
    path.unlink(missing_ok=True)
    os.close(descriptor)
    return True


def hold_schema(connection: Connection) -> None:
    """Wait for, and hold until the transaction ends, the one lock under which claims are made and the schema changes.

    In SQLite a transaction begun as `immediate` is that lock already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _key(connection, 0)})


@contextlib.contextmanager
def _hold_in_postgresql(engine: Engine, run_id: int) -> Iterator[None]:
    with database_errors():
        connection = engine.connect()
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _key(connection, run_id)})
    try:
        yield
    finally:
        connection.invalidate()  # closes the connection, and with it the transaction and its lock
        connection.close()


def _key(connection: Connection, run_id: int) -> int:
    """A 64-bit key of our own for a run (0: the schema) in the schema that the connection looks at."""
    schema = connection.scalar(text("select current_schema()"))
    digest = hashlib.sha256(f"vnsync\0{schema}\0{run_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@contextlib.contextmanager
def _hold_file(engine: Engine, run_id: int) -> Iterator[None]:
    path = _lock_file(engine, run_id)
    if path is None:
        yield
        return
    descriptor = _lock(path)
    if descriptor is None:
        raise LocalTrouble(f"the lock file {path} is held by another program")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock_file(engine: Engine, run_id: int) -> Path | None:
    """Where a run's lock is; None for a database in memory, which no other process can see."""
    database = engine.url.database
    return None if database in (None, "", ":memory:") else Path(f"{database}.run-{run_id}.lock")


def _lock(path: Path) -> int | None:
    """An open descriptor that holds the file's lock; None when somebody else does."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise LocalTrouble(f"cannot write the lock file {path}: {exc.strerror}") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
