"""Kept connections: a test's engine for PostgreSQL uses a connection again, as a new one, instead of opening another.

A PostgreSQL server starts a process for each connection, which reads the catalog anew; a run and what a test asks
afterwards take some thirty. The program's own engines close each connection (`docs/adr/0013-connection-cache.md`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import PoolResetState, QueuePool


def keep_connections(engine: Engine) -> Engine:
    """Let an engine for PostgreSQL keep its connections until it is disposed of. Returns the engine."""
    if engine.name == "postgresql":
        old: Any = engine.pool
        engine.pool = QueuePool(
            old._creator, pool_size=100, reset_on_return=None, _dispatch=old.dispatch, dialect=old._dialect
        )
        event.listen(engine.pool, "reset", _as_new)
    return engine


def _as_new(connection: Any, _record: object, state: PoolResetState) -> None:
    """Roll back and end whatever the session has: settings, temporary tables, locks, a role."""
    if state.terminate_only:
        return
    connection.rollback()
    connection.autocommit = True
    connection.execute("discard all")
    connection.autocommit = False
