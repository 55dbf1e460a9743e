"""Data of the report, read in one transaction: runs, freshness, current numbers and campaigns, recent changes.

Lists have an upper limit, for agencies of any size; totals include everything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, replace
from sqlalchemy import Connection, Engine, Select, and_, func, or_, select

from etl.domain.runs import AccountStatus
from etl.read import as_of
from etl.read.activity import Activity, read_activity, unpublished_days
from etl.read.holdings import Holding, Known, TopCampaign
from etl.read.moved import Moved, read_moved
from etl.read.status import LastRun, Status, last_runs, last_syncs, run_then, status_at
from etl.store import schema
from etl.store.engine import begin_reading, database_errors

MOST = 12
"""Upper limit of the entries of each list."""
RUNS = 10
"""Upper limit of the runs."""


class RunSummary(Struct, frozen=True, kw_only=True):
    """A run with the counts of its accounts by status; rows opened and closed are sums over all its accounts."""

    run: LastRun
    source_url: str
    version: str
    succeeded: int
    held: int
    failed: int
    unreachable: int
    rows_opened: int
    rows_closed: int


class Rejected(Struct, frozen=True, kw_only=True):
    """Count of records that the last observations of their accounts put into quarantine, for one path and reason."""

    path: str
    reason: str
    records: int
    accounts: int


class DriftSummary(Struct, frozen=True, kw_only=True):
    """A difference between the source and its documentation, and the time of the run that first found it."""

    path: str
    kind: str
    value: str
    accounts: int
    first_seen: datetime


class Summary(Struct, frozen=True, kw_only=True):
    """Data as of `moment` that the reports of all accounts and of one have in common.

    `holdings`: by account id; `statuses`: count of numbers by status, descending; `sizes`: rows by table;
    `drift_kinds_known`: count of all differences, of which `drift` has the most widespread. `activity`: the last
    observed days; `year`: those of the year; `unpublished_days`: those on which syncs were tried and nothing
    published; `moved`: numbers that changed campaign or account on the days of `activity`.
    """

    moment: datetime
    status: Status
    holdings: Mapping[int, Holding]
    sizes: Mapping[str, int]
    statuses: tuple[tuple[str | None, int], ...]
    campaigns: tuple[TopCampaign, ...]
    rejected: tuple[Rejected, ...]
    drift: tuple[DriftSummary, ...]
    drift_kinds_known: int
    activity: Activity
    year: Activity = field(default_factory=lambda: Activity(per_account={}))
    unpublished_days: tuple[date, ...] = ()
    moved: Moved = field(default_factory=Moved)


class Overview(Summary, frozen=True, kw_only=True):
    """Data of the report of all accounts. `runs`: the last ones, newest first."""

    runs: tuple[RunSummary, ...]


def read_overview(engine: Engine, now: datetime, *, moment: datetime | None = None) -> Overview:
    """The overview as of `now` (aware), or as it would have been at the earlier `moment`.

    Raises `Usage` when `moment` lies before the first observation.
    """
    at = moment or now
    with database_errors(), begin_reading(engine) as connection:
        if moment is not None:
            as_of.refuse_unknown(connection, moment, "--as-of", ())
        return Overview(runs=_runs(connection, at), **asdict(read_summary(connection, at, moment, campaigns=MOST)))


def read_summary(
    connection: Connection, at: datetime, moment: datetime | None, *, campaigns: int, account_id: int | None = None
) -> Summary:
    """The data of all accounts, or of one, as of `at`; `moment`: the same if it is a past one that was asked for."""
    mine = () if account_id is None else (account_id,)
    rows = Known(connection=connection, moment=moment, accounts=mine)
    drift, known = drift_kinds(connection, at, mine)
    year = read_activity(connection, at, account_id)
    recent = year.recent()
    return Summary(
        moment=at,
        status=_status(connection, at, account_id),
        holdings=rows.holdings(),
        sizes=rows.sizes(),
        statuses=rows.statuses(),
        campaigns=rows.top_campaigns(campaigns),
        rejected=rejected(connection, at, mine),
        drift=drift,
        drift_kinds_known=known,
        activity=recent,
        year=year,
        unpublished_days=unpublished_days(connection, at, account_id),
        moved=read_moved(connection, recent.days[0].day if recent.days else None, at, mine),
    )


def _status(connection: Connection, at: datetime, account_id: int | None) -> Status:
    status = status_at(connection, at)
    if account_id is None:
        return status
    return replace(status, accounts=tuple(a for a in status.accounts if a.account_id == account_id))


# -- runs


def _runs(connection: Connection, now: datetime) -> tuple[RunSummary, ...]:
    rows = connection.execute(last_runs(now).limit(RUNS)).all()
    syncs = schema.account_syncs.c
    counts = select(syncs.run_id, syncs.status, func.count(), func.sum(syncs.rows_opened), func.sum(syncs.rows_closed))
    counts = counts.where(syncs.run_id.in_([r.run_id for r in rows]), *ended_by(now)).group_by(
        syncs.run_id, syncs.status
    )
    by_status = {(run_id, status): figures for run_id, status, *figures in connection.execute(counts)}
    return tuple(_run_summary(row, now, by_status) for row in rows)


def ended_by(now: datetime) -> tuple[Any, ...]:
    """Conditions for account syncs that were known at `now`: those with a later observation were not."""
    syncs = schema.account_syncs.c
    return (syncs.started_at <= now, or_(syncs.observed_at.is_(None), syncs.observed_at <= now))


def _run_summary(row: Any, now: datetime, counts: Mapping[tuple[int, str], list[int]]) -> RunSummary:
    zeros = [0, 0, 0]
    ended = {status: counts.get((row.run_id, status.value), zeros) for status in AccountStatus}
    return RunSummary(
        run=run_then(row, now),
        source_url=row.source_url,
        version=row.version,
        succeeded=ended[AccountStatus.SUCCEEDED][0],
        held=ended[AccountStatus.HELD][0],
        failed=ended[AccountStatus.FAILED][0],
        unreachable=ended[AccountStatus.UNREACHABLE][0],
        rows_opened=sum(figures[1] for figures in ended.values()),
        rows_closed=sum(figures[2] for figures in ended.values()),
    )


# -- quarantine and drift


def rejected(connection: Connection, now: datetime, accounts: Collection[int] = ()) -> tuple[Rejected, ...]:
    """What the last observations of all accounts, or of `accounts`, put into quarantine, by path and reason."""
    last = last_syncs(now, published=True).subquery()
    bad = schema.quarantine
    same = and_(bad.c.run_id == last.c.run_id, bad.c.account_id == last.c.account_id)
    records, several = func.count().label("records"), func.count(bad.c.account_id.distinct()).label("accounts")
    wanted = select(bad.c.path, bad.c.reason, records, several).join(last, same).group_by(bad.c.path, bad.c.reason)
    wanted = wanted.where(bad.c.account_id.in_(accounts)) if accounts else wanted
    ordered = wanted.order_by(records.desc(), bad.c.path, bad.c.reason).limit(MOST)
    return tuple(Rejected(**row._mapping) for row in connection.execute(ordered))


def drift_kinds(
    connection: Connection, now: datetime, accounts: Collection[int] = ()
) -> tuple[tuple[DriftSummary, ...], int]:
    """(the most widespread differences, count of all), in all accounts or in `accounts`."""
    kinds = _kinds_of_drift(now, accounts).subquery()
    order = (kinds.c.accounts.desc(), kinds.c.first_seen.desc(), kinds.c.path, kinds.c.kind, kinds.c.value)
    rows = connection.execute(select(kinds).order_by(*order).limit(MOST))
    found = tuple(DriftSummary(**row._mapping) for row in rows)
    return found, connection.scalar(select(func.count()).select_from(kinds)) or 0


def _kinds_of_drift(now: datetime, accounts: Collection[int]) -> Select[Any]:
    drift, runs = schema.source_drift, schema.sync_runs
    key = (drift.c.path, drift.c.kind, drift.c.value)
    several, first = func.count().label("accounts"), func.min(runs.c.started_at).label("first_seen")
    found = select(*key, several, first).join(runs, runs.c.run_id == drift.c.first_run_id)
    mine = found.where(drift.c.account_id.in_(accounts)) if accounts else found
    return mine.where(runs.c.started_at <= now).group_by(*key)
