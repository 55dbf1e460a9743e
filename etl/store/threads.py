"""Several threads on one warehouse: SQLite's writers take turns, and whatever a thread executes can be interrupted."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import StaticPool

_TURN = "vnsync_turn"
"""Execution option of an engine: the lock under which its threads write to SQLite."""
_OPEN = "vnsync_open"
"""Execution option of an engine: its open connections, as the driver knows them."""
CANCEL_SECONDS = 2.0


def prepare(engine: Engine) -> None:
    """Make a new engine fit for threads."""
    connections: set[Any] = set()
    event.listen(engine, "connect", lambda connection, _record: connections.add(connection))
    event.listen(engine, "close", lambda connection, _record: connections.discard(connection))
    engine.update_execution_options(**{_OPEN: connections})
    if engine.name == "sqlite":
        engine.update_execution_options(**{_TURN: threading.RLock()})


def turn_to_write(target: Engine | Connection) -> contextlib.AbstractContextManager[object]:
    """Hold it around a writing transaction: a SQLite file has one writer at a time, and between threads nobody has to
    wait by polling, or in vain. PostgreSQL's writers go side by side.
    """
    turn: contextlib.AbstractContextManager[object] | None = target.get_execution_options().get(_TURN)
    return turn or contextlib.nullcontext()


def takes_threads(engine: Engine) -> bool:
    """Whether threads may work beside each other: a database in memory is one connection."""
    return not isinstance(engine.pool, StaticPool)


def interrupt(engine: Engine) -> None:
    """From another thread: break off what the engine's connections are executing right now."""
    for connection in list(engine.get_execution_options().get(_OPEN, ())):
        with contextlib.suppress(Exception):  # closed meanwhile, or the server is gone: then nothing is executed
            if engine.name == "sqlite":
                connection.interrupt()
            elif connection.info.transaction_status.name == "ACTIVE":
                connection.cancel_safe(timeout=CANCEL_SECONDS)
