"""Liveness of runs: a run is alive while its lock is held. Live runs mark dead ones and block changes of the schema."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from etl.domain.runs import RunStatus
from etl.errors import TryLater
from etl.store import schema
from etl.store.locks import holder_of_run, is_dead, sweep

INTERRUPTED = "the process ended without finishing its run"


def mark_dead(connection: Connection, now: datetime, run_id: int) -> list[int]:
    """Mark running runs without a process as interrupted. Returns their ids. `run_id`: the caller's own run.

    The caller holds the schema's lock. Dead runs lose their claims: if one continues after all, it publishes nothing.
    """
    runs = schema.sync_runs
    dead = [other for other in _running(connection) if other != run_id and is_dead(connection, other)]
    if dead:
        ended = {"status": RunStatus.INTERRUPTED.value, "finished_at": now, "error": INTERRUPTED}
        connection.execute(update(runs).where(runs.c.run_id.in_(dead)).values(ended))
        _free_claims(connection, dead)
    sweep(connection)
    return dead


def refuse_while_running(connection: Connection, why: str = "the schema does not change under a run") -> None:
    """Raise `TryLater`, with the reason `why`, while a run is in progress; else free the claims of dead runs.

    The caller holds the schema's lock.
    """
    running = _running(connection)
    for run_id in running:
        if not is_dead(connection, run_id):
            held_by = holder_in_words(connection, run_id)
            raise TryLater(f"run {run_id} is in progress{held_by}, and {why}", remedy="Let it finish, then try again")
    _free_claims(connection, running)


def holder_in_words(connection: Connection, run_id: int) -> str:
    """The session that holds the lock of a live run, in brackets; empty if it is unknown."""
    held_by = holder_of_run(connection, run_id)
    return f" (its lock is held by {held_by})" if held_by else ""


def _running(connection: Connection) -> list[int]:
    runs = schema.sync_runs
    return list(connection.scalars(select(runs.c.run_id).where(runs.c.status == RunStatus.RUNNING)))


def _free_claims(connection: Connection, run_ids: list[int]) -> None:
    claims = schema.account_claims
    connection.execute(delete(claims).where(claims.c.run_id.in_(run_ids)))
