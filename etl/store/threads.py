"""Threads on one warehouse: SQLite's writers take turns, and the statement of any thread can be interrupted."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import StaticPool

_TURN = "vnsync_turn"
"""Execution option of an engine: the lock under which its threads write to SQLite."""
_OPEN = "vnsync_open"
"""Execution option of an engine: its open connections, as the driver's objects."""
CANCEL_SECONDS = 2.0


def prepare(engine: Engine) -> None:
    """Prepare a new engine for use by threads."""
    connections: set[Any] = set()
    event.listen(engine, "connect", lambda connection, _record: connections.add(connection))
    event.listen(engine, "close", lambda connection, _record: connections.discard(connection))
    engine.update_execution_options(**{_OPEN: connections})
    if engine.name == "sqlite":
        engine.update_execution_options(**{_TURN: threading.RLock()})


def turn_to_write(target: Engine | Connection) -> contextlib.AbstractContextManager[object]:
    """Lock to hold around a writing transaction: a SQLite file has one writer at a time, and with the lock threads
    wait without polling, and without a timeout. PostgreSQL's writers work at the same time.
    """
    turn: contextlib.AbstractContextManager[object] | None = target.get_execution_options().get(_TURN)
    return turn or contextlib.nullcontext()


def takes_threads(engine: Engine) -> bool:
    """Whether threads may work at the same time: a database in memory has only one connection."""
    return not isinstance(engine.pool, StaticPool)


def interrupt(engine: Engine) -> None:
    """Interrupt the statements that the engine's connections are executing. Called from another thread."""
    for connection in list(engine.get_execution_options().get(_OPEN, ())):
        with contextlib.suppress(Exception):  # closed meanwhile, or the server is down: then no statement is running
            if engine.name == "sqlite":
                connection.interrupt()
            elif connection.info.transaction_status.name == "ACTIVE":
                connection.cancel_safe(timeout=CANCEL_SECONDS)
