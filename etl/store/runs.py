"""Runs in the database: a run begins, claims its accounts, records each, and ends. A live run marks dead ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Delete, Engine, Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from etl.domain.installations import origin_of
from etl.domain.ports import Clock, Random
from etl.domain.runs import AccountResult, AccountStatus, RunResult, RunStatus, Strategy
from etl.errors import IntegrityBroken, TryLater, VnsyncError
from etl.store import installations, liveness, migrations, schema
from etl.store.engine import begin_writing, database_errors
from etl.store.locks import hold_run, hold_schema
from etl.store.upsert import insert_row

ID_TRIES = 50
"""How many run ids are drawn before it is no longer chance that each one is taken."""


def new_run_id(now: datetime, random: Random) -> int:
    """A run id: YYMMDDhhmmss (UTC), milliseconds, a digit. It needs no database, so every message can name it.

    It sorts by time, and as a number of 16 digits survives JSON readers that know only doubles.
    """
    moment = int(now.strftime("%y%m%d%H%M%S")) * 1000 + now.microsecond // 1000
    return moment * 10 + random.randrange(10)


@contextlib.contextmanager
def running(engine: Engine, *, clock: Clock, random: Random, source_url: str, version: str) -> Iterator[int]:
    """A new run's id, its row committed as running and its lock held for the length of the block.

    However the block ends, the row does not stay running, as long as the database can be reached.
    """
    for _ in range(ID_TRIES):
        run_id = new_run_id(clock.now(), random)
        with hold_run(engine, run_id) as held, _ended(engine, run_id, clock):
            if held and _insert(engine, run_id, clock.now(), source_url, version):
                yield run_id
                return
    raise IntegrityBroken(f"no run can be recorded: {ID_TRIES} new run ids were refused")


@contextlib.contextmanager
def _ended(engine: Engine, run_id: int, clock: Clock) -> Iterator[None]:
    """End the row of a run that an error broke off before it did so (a bug, no memory, a signal at its start)."""
    try:
        yield
    except BaseException as exc:
        vars(exc)["run_id"] = run_id  # the line of any error can name the run
        with contextlib.suppress(VnsyncError):
            _interrupt(engine, run_id, clock.now(), exc)
        raise


def _interrupt(engine: Engine, run_id: int, now: datetime, reason: BaseException) -> None:
    runs, claims = schema.sync_runs, schema.account_claims
    known = isinstance(reason, VnsyncError)
    error = str(reason) if known else f"{type(reason).__name__} broke it off"
    ended = {"status": RunStatus.INTERRUPTED.value, "finished_at": now, "error": error}
    ended["exit_code"] = reason.exit_code if isinstance(reason, VnsyncError) else None
    with database_errors(), begin_writing(engine) as connection:
        mine = update(runs).where(*_still_running(run_id)).values(ended)
        if connection.execute(mine).rowcount:
            connection.execute(delete(claims).where(claims.c.run_id == run_id))


def _insert(engine: Engine, run_id: int, now: datetime, source_url: str, version: str) -> bool:
    row = {"run_id": run_id, "started_at": now, "status": RunStatus.RUNNING.value}
    with database_errors(), contextlib.suppress(IntegrityError), begin_writing(engine) as connection:
        hold_schema(connection)
        if not migrations.is_current(connection):
            raise TryLater("the schema was changed while this run began", remedy="Run again")
        installations.refuse_another(connection, origin_of(source_url))
        connection.execute(insert(schema.sync_runs), row | {"source_url": source_url, "version": version})
        return True
    return False


def mark_dead(engine: Engine, now: datetime, run_id: int) -> list[int]:
    """Mark running runs without a process as interrupted. Returns their ids. `run_id`: the caller's own run."""
    with database_errors(), begin_writing(engine) as connection:
        hold_schema(connection)
        return liveness.mark_dead(connection, now, run_id)


def claim(engine: Engine, run_id: int, account_ids: Sequence[int], now: datetime) -> dict[int, str]:
    """Claim accounts for a run. Returns those that live runs are about to publish, each with its holder in words.

    Raises `TryLater` if none is left.
    """
    wanted, held = sorted(set(account_ids)), dict[int, str]()

    def write(connection: Connection) -> None:
        nonlocal held
        hold_schema(connection)
        liveness.mark_dead(connection, now, run_id)
        held = _take(connection, run_id, wanted)

    _settled(engine, write)
    return held


def _take(connection: Connection, run_id: int, wanted: list[int]) -> dict[int, str]:
    claims = schema.account_claims
    if connection.execute(select(schema.sync_runs.c.run_id).where(*_still_running(run_id))).first() is None:
        raise TryLater("another run marked this run as interrupted", remedy="Run again")
    holders = {row.account_id: row.run_id for row in connection.execute(select(claims))}
    others = {i: holders[i] for i in wanted if holders.get(i, run_id) != run_id}
    words = {other: f"run {other}{liveness.holder_in_words(connection, other)}" for other in set(others.values())}
    held = {account_id: words[other] for account_id, other in others.items()}
    if held and len(held) == len(wanted):
        account_id, holder = next(iter(held.items()))
        raise TryLater(f"account {account_id} is being synced by {holder}", remedy="Let it finish, then run again")
    rows = [{"account_id": account_id, "run_id": run_id} for account_id in wanted if account_id not in holders]
    if rows:
        connection.execute(insert(claims), rows)
    return held


def consume_claim(connection: Connection, run_id: int, account_id: int) -> None:
    """Give up the claim inside the publishing transaction. Raises `TryLater` if another run has taken it over.

    This is the fence: a run that was marked as dead and continues after all has lost its claim and publishes nothing.
    """
    if _give_up(connection, run_id, account_id) != 1:
        raise TryLater(f"another run took over account {account_id}", remedy="Run again")


def record(connection: Connection, result: AccountResult) -> None:
    """Write an account's row in `account_syncs`."""
    row = {column.name: getattr(result, column.name) for column in schema.account_syncs.columns}
    insert_row(connection, schema.account_syncs, row)


def record_unpublished(engine: Engine, result: AccountResult) -> AccountResult:
    """Write the row of an account that is held or failed, and free its claim. Returns the result as the row has it.

    An existing row stays: the account was published, and only the acknowledgement was lost.
    """
    recorded = result

    def write(connection: Connection) -> None:
        nonlocal recorded
        _give_up(connection, result.run_id, result.account_id)
        row = _recorded(connection, result.run_id, result.account_id)
        if row is None:
            record(connection, result)
        elif row.status == AccountStatus.SUCCEEDED:
            recorded = _published(row, result)

    _settled(engine, write)
    return recorded


def _published(row: Row[Any], result: AccountResult) -> AccountResult:
    """The result, as the row of a published account has it."""
    recorded = {name: value for name, value in row._mapping.items() if name not in ("status", "strategy", "exit_code")}
    strategy = None if row.strategy is None else Strategy(row.strategy)
    return replace(result, **recorded, status=AccountStatus.SUCCEEDED, strategy=strategy, exit_code=0)


def is_recorded(engine: Engine, run_id: int, account_id: int) -> bool:
    """Whether the account's row of this run exists, which decides about a commit without an acknowledgement.

    It also gives up the claim: if that commit is still in progress, this waits for its end.
    """
    with database_errors(), begin_writing(engine) as connection:
        _give_up(connection, run_id, account_id)
        return _recorded(connection, run_id, account_id) is not None


def finish(engine: Engine, result: RunResult) -> None:
    """Bring the run's row to its final state, and free its remaining claims. A state that is final already stays."""
    runs, claims = schema.sync_runs, schema.account_claims
    ended = {name: getattr(result, name) for name in ("status", "exit_code", "finished_at", "error")}

    def write(connection: Connection) -> None:
        connection.execute(update(runs).where(*_still_running(result.run_id)).values(ended))
        connection.execute(delete(claims).where(claims.c.run_id == result.run_id))

    _settled(engine, write)


def _still_running(run_id: int) -> tuple[ColumnElement[bool], ...]:
    runs = schema.sync_runs
    return runs.c.run_id == run_id, runs.c.status == RunStatus.RUNNING


def _give_up(connection: Connection, run_id: int, account_id: int) -> int:
    """Delete the claim. Returns how many there were: one or none."""
    return connection.execute(_claim(), {"mine": account_id, "ours": run_id}).rowcount


@cache
def _claim() -> Delete:
    claims = schema.account_claims
    return delete(claims).where(claims.c.account_id == bindparam("mine"), claims.c.run_id == bindparam("ours"))


def _recorded(connection: Connection, run_id: int, account_id: int) -> Row[Any] | None:
    rows = schema.account_syncs
    found = select(rows).where(rows.c.run_id == run_id, rows.c.account_id == account_id)
    return connection.execute(found).first()


def _settled(engine: Engine, write: Callable[[Connection], None]) -> None:
    """Run a write that may be repeated. Repeat it if the connection broke: it is unknown then whether it committed."""
    with database_errors():
        try:
            _write(engine, write)
        except DBAPIError as exc:
            if not exc.connection_invalidated:
                raise
            _write(engine, write)


def _write(engine: Engine, write: Callable[[Connection], None]) -> None:
    with begin_writing(engine) as connection:
        write(connection)
