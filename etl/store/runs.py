"""Rows about runs: a run begins, claims its accounts, tells of each, and ends; the dead are marked by the living."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from etl.domain.ports import Clock, Random
from etl.domain.runs import AccountResult, RunResult, RunStatus
from etl.errors import TryLater
from etl.store import schema
from etl.store.engine import begin_writing, database_errors
from etl.store.locks import hold_run, hold_schema, is_dead

INTERRUPTED = "the process ended without finishing its run"


def new_run_id(now: datetime, random: Random) -> int:
    """A run id, made without the database so that every message can carry it: YYMMDDhhmmss (UTC) and four digits.

    It sorts by time, and as a number of 16 digits survives JSON readers that know only doubles.
    """
    return int(now.strftime("%y%m%d%H%M%S")) * 10_000 + random.randrange(10_000)


@contextlib.contextmanager
def running(engine: Engine, *, clock: Clock, random: Random, source_url: str, version: str) -> Iterator[int]:
    """A new run's id, its row committed as running and its lock held for the length of the block."""
    while True:
        run_id = new_run_id(clock.now(), random)
        with contextlib.ExitStack() as held:
            held.enter_context(hold_run(engine, run_id))
            if _insert(engine, run_id, clock.now(), source_url, version):
                yield run_id
                return


def _insert(engine: Engine, run_id: int, now: datetime, source_url: str, version: str) -> bool:
    row = {"run_id": run_id, "started_at": now, "status": RunStatus.RUNNING.value}
    with database_errors(), contextlib.suppress(IntegrityError), begin_writing(engine) as connection:
        connection.execute(insert(schema.sync_runs), row | {"source_url": source_url, "version": version})
        return True
    return False


def mark_dead(engine: Engine, now: datetime, run_id: int) -> list[int]:
    """Mark runs that say running and whose process is gone as interrupted; their ids. `run_id`: the caller's own."""
    with database_errors(), begin_writing(engine) as connection:
        hold_schema(connection)
        return _mark_dead(connection, now, run_id)


def _mark_dead(connection: Connection, now: datetime, run_id: int) -> list[int]:
    runs, claims = schema.sync_runs, schema.account_claims
    others = select(runs.c.run_id).where(runs.c.status == RunStatus.RUNNING, runs.c.run_id != run_id)
    dead = [other for other in connection.scalars(others).all() if is_dead(connection, other)]
    if dead:
        ended = {"status": RunStatus.INTERRUPTED.value, "finished_at": now, "error": INTERRUPTED}
        connection.execute(update(runs).where(runs.c.run_id.in_(dead)).values(ended))
        connection.execute(delete(claims).where(claims.c.run_id.in_(dead)))
    return dead


def claim(engine: Engine, run_id: int, account_ids: Sequence[int], now: datetime) -> None:
    """Claim accounts for a run, all or none. Raises `TryLater` when a live run is about to publish one of them."""
    claims = schema.account_claims
    with database_errors(), begin_writing(engine) as connection:
        hold_schema(connection)
        _mark_dead(connection, now, run_id)
        wanted = set(account_ids)
        for taken in connection.execute(select(claims)).all():
            if taken.account_id in wanted:
                raise TryLater(
                    f"account {taken.account_id} is being synced by run {taken.run_id}",
                    remedy="Let it finish, then run again",
                )
        if wanted:
            rows = [{"account_id": account_id, "run_id": run_id} for account_id in sorted(wanted)]
            connection.execute(insert(claims), rows)


def consume_claim(connection: Connection, run_id: int, account_id: int) -> None:
    """Give up the claim inside the publishing transaction. Raises `TryLater` when another run has taken it over.

    This is the fence: a run that was taken for dead, and wakes up, finds its claim gone and publishes nothing.
    """
    claims = schema.account_claims
    mine = delete(claims).where(claims.c.account_id == account_id, claims.c.run_id == run_id)
    if connection.execute(mine).rowcount != 1:
        raise TryLater(f"another run took over account {account_id}", remedy="Nothing was published; run again")


def record(connection: Connection, result: AccountResult) -> None:
    """Write an account's row in `account_syncs`."""
    names = {c.name for c in schema.account_syncs.columns}
    row = {name: getattr(result, name) for name in names}
    connection.execute(insert(schema.account_syncs), row)


def record_unpublished(engine: Engine, result: AccountResult) -> None:
    """Write the row of an account that is held or failed, and free its claim."""
    claims = schema.account_claims
    with database_errors(), begin_writing(engine) as connection:
        mine = delete(claims).where(claims.c.account_id == result.account_id, claims.c.run_id == result.run_id)
        connection.execute(mine)
        record(connection, result)


def is_recorded(engine: Engine, run_id: int, account_id: int) -> bool:
    """Whether the account's row of this run is there: after a commit that nobody acknowledged, this is what counts."""
    rows = schema.account_syncs
    found = select(rows.c.run_id).where(rows.c.run_id == run_id, rows.c.account_id == account_id)
    with database_errors(), engine.connect() as connection:
        return connection.execute(found).first() is not None


def finish(engine: Engine, result: RunResult) -> None:
    """Bring the run's row to its last state, and free what it still claims."""
    runs, claims = schema.sync_runs, schema.account_claims
    ended = {name: getattr(result, name) for name in ("status", "exit_code", "finished_at", "error")}
    with database_errors(), begin_writing(engine) as connection:
        connection.execute(update(runs).where(runs.c.run_id == result.run_id).values(ended))
        connection.execute(delete(claims).where(claims.c.run_id == result.run_id))
