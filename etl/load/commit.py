"""The commit of what a run publishes, and what to believe when the connection breaks while it is under way."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from etl.errors import Unavailable
from etl.store import runs

LOOKUP_PAUSES = (0.5, 1, 2, 4, 8, 15)
"""Seconds between the attempts to ask a database that broke off at the commit whether it had committed."""


def commit(
    connection: Connection, engine: Engine, run_id: int, account_id: int, pause: Callable[[float], None]
) -> None:
    """Commit an account's sync; when the connection breaks in between, what the database recorded decides, not a guess.

    Raises what broke the connection where nothing was committed, `Unavailable` where the database cannot be asked.
    """
    try:
        connection.commit()
    except DBAPIError as exc:
        connection.invalidate()  # whatever is left of the transaction ends with its connection
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
        f"the database broke off while account {account_id} was being committed, and cannot be asked",
        remedy="It is published or not, never half; `vnsync status` tells which when the database is back",
    ) from lost
