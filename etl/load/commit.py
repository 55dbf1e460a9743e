"""The commit of a publication, and its outcome when the connection breaks during the commit."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from etl.errors import Unavailable
from etl.store import runs

LOOKUP_PAUSES = (0.5, 1, 2, 4, 8, 15)
"""Seconds between attempts to look up, after a connection broke at the commit, whether the database committed."""


def commit(
    connection: Connection, engine: Engine, run_id: int, account_id: int, pause: Callable[[float], None]
) -> None:
    """Commit an account sync. When the connection breaks meanwhile, the database's own record decides the outcome.

    Raises the connection's error when nothing was committed, `Unavailable` when the record cannot be looked up.
    """
    try:
        connection.commit()
    except DBAPIError as exc:
        connection.invalidate()  # closing the connection ends the rest of the transaction
        if not _is_recorded(engine, run_id, account_id, pause, exc):
            raise


def _is_recorded(
    engine: Engine, run_id: int, account_id: int, pause: Callable[[float], None], lost: DBAPIError
) -> bool:
    for seconds in LOOKUP_PAUSES:
        try:
            return runs.is_recorded(engine, run_id, account_id)
        except Unavailable:
            pause(seconds)
    raise Unavailable(
        f"the connection to the database broke while account {account_id} was being committed; its outcome is unknown",
        remedy="It is published whole or not at all; `vnsync status` shows which when the database is back",
    ) from lost
