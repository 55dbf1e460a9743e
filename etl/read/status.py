"""Freshness of each account, gaps in its last observation, and the result of the last run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, Row, Select, func, or_, select

from etl.domain.runs import AccountStatus, RunStatus
from etl.errors import Incomplete
from etl.read import as_of
from etl.store import schema
from etl.store.engine import begin_reading, database_errors

UNPUBLISHED = (AccountStatus.FAILED.value, AccountStatus.HELD.value)
"""Statuses of an account whose last sync published nothing, for a reason that needs action."""
GAP_WINDOW = timedelta(days=30)
"""Time range, up to now, in which the longest gap between two observations is determined."""


class AccountState(Struct, frozen=True, kw_only=True):
    """One account: its last observation, and the status of its last sync (which may be a later, failed one).

    `observed_at` to `chain_digest` belong to the last published sync, and are None before the first; `status`, `error`
    and `last_run_id` belong to the last attempted sync. `longest_gap_seconds`: within the last 30 days, until now.
    `unreachable_since`: start of the first sync that found the account in its present unreachable state, which `status`
    then names (`domain.runs.Unreachable`); None if it is reachable. `viewer_changed`: the last published sync listed
    through another key, login or user than the one before, and its suspects are numbers that it could not see.
    """

    account_id: int
    account_name: str | None = None
    observed_at: datetime | None = None
    age_seconds: float | None = None
    status: str
    listed_numbers: int | None = None
    unaccounted: int = 0
    suspects: int = 0
    quarantined: int = 0
    longest_gap_seconds: float | None = None
    chain_digest: str | None = None
    last_run_id: int
    error: str | None = None
    unreachable_since: datetime | None = None
    viewer_changed: bool = False

    @property
    def is_unreachable(self) -> bool:
        """Whether the account is in a known state in which no observation is expected."""
        return self.unreachable_since is not None


class LastRun(Struct, frozen=True, kw_only=True):
    """The newest row of `sync_runs`."""

    run_id: int
    status: str
    started_at: datetime
    finished_at: datetime | None
    exit_code: int | None
    error: str | None


class Status(Struct, frozen=True, kw_only=True):
    """Status of the warehouse; `last_run` is None before the first run."""

    accounts: tuple[AccountState, ...] = ()
    last_run: LastRun | None = None


def read_status(engine: Engine, now: datetime, *, moment: datetime | None = None, name: str = "--as-of") -> Status:
    """The state of every account that was ever synced or attempted, by id, as of `now` (aware) or an earlier `moment`.

    Raises `Usage` when `moment` lies before the first observation. `name`: of the moment, in errors.
    """
    with database_errors(), begin_reading(engine) as connection:
        if moment is not None:
            as_of.refuse_unknown(connection, moment, name, ())
        return status_at(connection, moment or now)


def status_at(connection: Connection, now: datetime) -> Status:
    """The status as of `now`, through a connection whose transaction has one snapshot of the warehouse."""
    tried = {row.account_id: row for row in connection.execute(last_syncs(now, published=False))}
    published = {row.account_id: row for row in connection.execute(last_syncs(now, published=True))}
    gaps = _longest_gaps(connection, now)
    names = {seen.account_id: seen.account_name for seen in as_of.observed(connection, now)}
    last = connection.execute(last_runs(now).limit(1)).first()
    since = _unreachable_since(connection, now, [i for i, row in tried.items() if row.unreachable is not None])
    states = [
        replace(_state(row, published.get(i), names.get(i), gaps.get(i), now), unreachable_since=since.get(i))
        for i, row in sorted(tried.items())
    ]
    return Status(accounts=tuple(states), last_run=run_then(last, now) if last else None)


def stale(accounts: Sequence[AccountState], max_age: timedelta) -> list[AccountState]:
    """The reachable accounts whose last observation is older than `max_age`, or missing."""
    limit = max_age.total_seconds()
    return [a for a in accounts if not a.is_unreachable and (a.age_seconds is None or a.age_seconds > limit)]


def failure_code(found: Status) -> int:
    """Exit code for a monitor: that of the last run's failure while an account is failed or held, else 0.

    A last run that failed as a whole counts too, whatever the accounts' statuses; one that is in progress or was
    stopped by a signal does not. 3 if accounts failed in a run before the last.
    """
    run = found.last_run
    if run is not None and run.status == RunStatus.FAILED:
        return run.exit_code or Incomplete.exit_code
    if not any(a.status in UNPUBLISHED for a in found.accounts):
        return 0
    ended = run is not None and run.status in (RunStatus.PARTIAL, RunStatus.HELD)
    return (run.exit_code if run and ended else None) or Incomplete.exit_code


def last_syncs(now: datetime, *, published: bool) -> Select[Any]:
    """Query of the newest row of `account_syncs` of each account, among all rows or the published ones.

    Times decide, not run ids: two runs that start in the same second may have ids in any order.
    """
    syncs = schema.account_syncs
    instant = syncs.c.observed_at if published else syncs.c.started_at
    known = or_(syncs.c.observed_at <= now, syncs.c.observed_at.is_(None) & (syncs.c.started_at <= now))
    newest = select(syncs.c.account_id, func.max(instant).label("instant")).where(known).group_by(syncs.c.account_id)
    if published:
        newest = newest.where(syncs.c.status == AccountStatus.SUCCEEDED.value)
    last = newest.subquery()
    return select(syncs).join(last, (syncs.c.account_id == last.c.account_id) & (instant == last.c.instant))


def last_runs(now: datetime) -> Select[Any]:
    """Query of the rows of `sync_runs` that had begun by `now`, newest first."""
    runs = schema.sync_runs
    return select(runs).where(runs.c.started_at <= now).order_by(runs.c.started_at.desc(), runs.c.run_id.desc())


def _longest_gaps(connection: Connection, now: datetime) -> dict[int, float]:
    """Longest time without an observation, in seconds, by account, within `GAP_WINDOW` before `now`."""
    syncs = schema.account_syncs
    within = syncs.c.observed_at.between(now - GAP_WINDOW, now)
    observed = (
        select(syncs.c.account_id, syncs.c.observed_at)
        .where(syncs.c.status == AccountStatus.SUCCEEDED.value, within)
        .order_by(syncs.c.account_id, syncs.c.observed_at)
    )
    longest: dict[int, float] = {}
    previous: dict[int, datetime] = {}
    for account_id, at in connection.execute(observed):
        if account_id in previous:
            longest[account_id] = max(longest.get(account_id, 0.0), (at - previous[account_id]).total_seconds())
        previous[account_id] = at
    for account_id, at in previous.items():
        longest[account_id] = max(longest.get(account_id, 0.0), (now - at).total_seconds())
    return longest


def _state(
    tried: Row[Any], published: Row[Any] | None, name: str | None, gap: float | None, now: datetime
) -> AccountState:
    common = {
        "account_id": tried.account_id,
        "account_name": name or tried.account_name,
        "status": tried.unreachable or tried.status,
        "last_run_id": tried.run_id,
        "error": tried.error,
        "longest_gap_seconds": gap,
    }
    if published is None:
        return AccountState(**common)
    return AccountState(
        **common,
        observed_at=published.observed_at,
        age_seconds=max(0.0, (now - published.observed_at).total_seconds()),
        listed_numbers=published.listed_numbers,
        unaccounted=published.unaccounted,
        suspects=published.suspects,
        quarantined=published.quarantined,
        viewer_changed=published.viewer_changed,
        chain_digest=published.chain_digest,
    )


def _unreachable_since(connection: Connection, now: datetime, account_ids: Sequence[int]) -> dict[int, datetime]:
    """Start of the first sync that found each of these accounts in its present unreachable state."""
    if not account_ids:
        return {}
    syncs = schema.account_syncs
    mine = syncs.c.account_id.in_(account_ids) & (syncs.c.started_at <= now)
    rows = select(syncs.c.account_id, syncs.c.unreachable, syncs.c.started_at).where(mine)
    states: dict[int, str | None] = {}
    since: dict[int, datetime] = {}
    for account_id, state, started_at in connection.execute(rows.order_by(syncs.c.started_at)):
        if state is None or states.get(account_id) != state:
            since[account_id] = started_at
        states[account_id] = state
    return since


def run_then(row: Row[Any], now: datetime) -> LastRun:
    """The run as known at `now`: a run that finished later was still running."""
    known = LastRun(
        run_id=row.run_id,
        status=row.status,
        started_at=row.started_at,
        finished_at=row.finished_at,
        exit_code=row.exit_code,
        error=row.error,
    )
    if known.finished_at is None or known.finished_at <= now:
        return known
    return replace(known, status=RunStatus.RUNNING.value, finished_at=None, exit_code=None, error=None)
