"""Data of the report, read in one transaction: runs, freshness, current numbers and campaigns, recent changes.

Lists have an upper limit, for agencies of any size; totals include everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, func, or_, select
from sqlalchemy.sql.selectable import Subquery

from etl.domain import tables as declared
from etl.domain.runs import AccountStatus
from etl.read import as_of
from etl.read.activity import Activity, read_activity
from etl.read.status import LastRun, Status, last_runs, last_syncs, run_then, status_at
from etl.store import schema
from etl.store.engine import begin_reading, database_errors

MOST = 12
"""Upper limit of the entries of each list."""
RUNS = 10
"""Upper limit of the runs."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
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


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Counts of an account: its numbers, those of them that are in no campaign (`unplaced`), and its campaigns."""

    numbers: int = 0
    unplaced: int = 0
    campaigns: int = 0


@dataclass(frozen=True, kw_only=True)
class TopCampaign:
    """A campaign and the count of its numbers."""

    account_id: int
    campaign_id: int
    campaign_name: str | None
    site_domain_name: str | None
    numbers: int


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """Count of records that the last observations of their accounts put into quarantine, for one path and reason."""

    path: str
    reason: str
    records: int
    accounts: int


@dataclass(frozen=True, kw_only=True)
class DriftSummary:
    """A difference between the source and its documentation, and the time of the run that first found it."""

    path: str
    kind: str
    value: str
    accounts: int
    first_seen: datetime


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Data of the report as of `moment`. `holdings`: by account id; `statuses`: count of numbers by status, descending.

    `sizes`: rows by table; `drift_kinds_known`: count of all differences, of which `drift` has the most widespread.
    """

    moment: datetime
    status: Status
    runs: tuple[RunSummary, ...]
    holdings: Mapping[int, Holding]
    sizes: Mapping[str, int]
    statuses: tuple[tuple[str | None, int], ...]
    campaigns: tuple[TopCampaign, ...]
    rejected: tuple[Rejected, ...]
    drift: tuple[DriftSummary, ...]
    drift_kinds_known: int
    activity: Activity


def read_overview(engine: Engine, now: datetime, *, moment: datetime | None = None) -> Overview:
    """The overview as of `now` (aware), or as it would have been at the earlier `moment`.

    Raises `Usage` when `moment` lies before the first observation.
    """
    at = moment or now
    with database_errors(), begin_reading(engine) as connection:
        if moment is not None:
            as_of.refuse_unknown(connection, moment, "--as-of", ())
        drift, known = _drift(connection, at)
        return Overview(
            moment=at,
            status=status_at(connection, at),
            runs=_runs(connection, at),
            holdings=_holdings(connection, moment),
            sizes={t.name: _size(connection, t, moment) for t in declared.TABLES},
            statuses=_statuses(connection, moment),
            campaigns=_top_campaigns(connection, moment),
            rejected=_rejected(connection, at),
            drift=drift,
            drift_kinds_known=known,
            activity=read_activity(connection, at),
        )


# -- runs


def _runs(connection: Connection, now: datetime) -> tuple[RunSummary, ...]:
    rows = connection.execute(last_runs(now).limit(RUNS)).all()
    syncs = schema.account_syncs.c
    counts = select(syncs.run_id, syncs.status, func.count(), func.sum(syncs.rows_opened), func.sum(syncs.rows_closed))
    counts = counts.where(syncs.run_id.in_([r.run_id for r in rows]), *_ended_by(now)).group_by(
        syncs.run_id, syncs.status
    )
    by_status = {(run_id, status): figures for run_id, status, *figures in connection.execute(counts)}
    return tuple(_run_summary(row, now, by_status) for row in rows)


def _ended_by(now: datetime) -> tuple[Any, ...]:
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


# -- numbers and campaigns


def _known(table: declared.Table, moment: datetime | None) -> Subquery:
    return as_of.rows(table, moment).order_by(None).subquery()


def _size(connection: Connection, table: declared.Table, moment: datetime | None) -> int:
    return connection.scalar(select(func.count()).select_from(_known(table, moment))) or 0


def _holdings(connection: Connection, moment: datetime | None) -> dict[int, Holding]:
    numbers = _by_account(connection, _known(declared.VIRTUAL_NUMBERS, moment))
    campaigns = _by_account(connection, _known(declared.CAMPAIGNS, moment))
    links = _known(declared.NUMBER_CAMPAIGNS, moment)
    placed = _by_account(connection, select(links.c.account_id, links.c.virtual_number_id).distinct().subquery())
    return {
        i: Holding(numbers=n, unplaced=n - placed.get(i, 0), campaigns=campaigns.get(i, 0)) for i, n in numbers.items()
    }


def _by_account(connection: Connection, rows: Subquery) -> dict[int, int]:
    counted = select(rows.c.account_id, func.count()).group_by(rows.c.account_id)
    return {row[0]: row[1] for row in connection.execute(counted)}


def _statuses(connection: Connection, moment: datetime | None) -> tuple[tuple[str | None, int], ...]:
    numbers = _known(declared.VIRTUAL_NUMBERS, moment)
    count = func.count().label("numbers")
    counted = select(numbers.c.status, count).group_by(numbers.c.status)
    rows = connection.execute(counted.order_by(count.desc(), numbers.c.status).limit(MOST))
    return tuple((status, numbers) for status, numbers in rows)


def _top_campaigns(connection: Connection, moment: datetime | None) -> tuple[TopCampaign, ...]:
    links, campaigns, sites = (
        _known(t, moment) for t in (declared.NUMBER_CAMPAIGNS, declared.CAMPAIGNS, declared.SITES)
    )
    key = (links.c.account_id, links.c.campaign_id)
    count = func.count().label("numbers")
    top = select(*key, count).group_by(*key).order_by(count.desc(), *key).limit(MOST).subquery()
    named = and_(campaigns.c.account_id == top.c.account_id, campaigns.c.campaign_id == top.c.campaign_id)
    placed = and_(sites.c.account_id == campaigns.c.account_id, sites.c.site_id == campaigns.c.site_id)
    wanted = (
        select(top, campaigns.c.campaign_name, sites.c.site_domain_name)
        .select_from(top.outerjoin(campaigns, named).outerjoin(sites, placed))
        .order_by(top.c.numbers.desc(), top.c.account_id, top.c.campaign_id)
    )
    return tuple(TopCampaign(**row._mapping) for row in connection.execute(wanted))


# -- quarantine and drift


def _rejected(connection: Connection, now: datetime) -> tuple[Rejected, ...]:
    last = last_syncs(now, published=True).subquery()
    bad = schema.quarantine
    same = and_(bad.c.run_id == last.c.run_id, bad.c.account_id == last.c.account_id)
    records, accounts = func.count().label("records"), func.count(bad.c.account_id.distinct()).label("accounts")
    wanted = select(bad.c.path, bad.c.reason, records, accounts).join(last, same).group_by(bad.c.path, bad.c.reason)
    ordered = wanted.order_by(records.desc(), bad.c.path, bad.c.reason).limit(MOST)
    return tuple(Rejected(**row._mapping) for row in connection.execute(ordered))


def _drift(connection: Connection, now: datetime) -> tuple[tuple[DriftSummary, ...], int]:
    """(the most widespread differences, count of all)."""
    kinds = _kinds_of_drift(now).subquery()
    order = (kinds.c.accounts.desc(), kinds.c.first_seen.desc(), kinds.c.path, kinds.c.kind, kinds.c.value)
    rows = connection.execute(select(kinds).order_by(*order).limit(MOST))
    found = tuple(DriftSummary(**row._mapping) for row in rows)
    return found, connection.scalar(select(func.count()).select_from(kinds)) or 0


def _kinds_of_drift(now: datetime) -> Select[Any]:
    drift, runs = schema.source_drift, schema.sync_runs
    key = (drift.c.path, drift.c.kind, drift.c.value)
    accounts, first = func.count().label("accounts"), func.min(runs.c.started_at).label("first_seen")
    found = select(*key, accounts, first).join(runs, runs.c.run_id == drift.c.first_run_id)
    return found.where(runs.c.started_at <= now).group_by(*key)
