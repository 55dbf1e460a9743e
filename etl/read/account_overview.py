"""Data of one account's report, read in one transaction: state, numbers, campaigns, changes of a year, last syncs."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, Engine, and_, func, select

from etl.domain.runs import AccountStatus
from etl.read import as_of
from etl.read.changes import Change, TimeRange, read_changes
from etl.read.overview import Summary, ended_by, read_summary
from etl.store import schema
from etl.store.engine import begin_reading, database_errors

CAMPAIGNS = 100
"""Upper limit of the campaigns."""
SYNCS = 10
"""Upper limit of the syncs."""
LATEST = 100
"""Upper limit of the latest changes."""
ROWS = 2_000
"""Rows opened and closed in which the latest changes are looked for; whole observations, so there may be more."""


class AccountSync(Struct, frozen=True, kw_only=True):
    """A sync of the account; `status` names the reason where it could not be listed."""

    run_id: int
    status: str
    started_at: datetime
    observed_at: datetime | None
    listed_numbers: int | None
    requests: int
    rows_opened: int
    rows_closed: int
    error: str | None


class AccountOverview(Summary, frozen=True, kw_only=True):
    """Data of one account's report; `status` has this account alone.

    `latest`: its latest changes, newest observation first; `more_changes`: there are older ones. What its first
    observation found is no change. `syncs`: the last ones, newest first.
    """

    account_id: int
    timezone: str | None
    first_observed_at: datetime
    source_url: str | None
    latest: tuple[Change, ...]
    more_changes: bool
    syncs: tuple[AccountSync, ...]


def read_account(engine: Engine, now: datetime, account_id: int, *, moment: datetime | None = None) -> AccountOverview:
    """The overview of one account as of `now` (aware), or as it would have been at the earlier `moment`.

    Raises `Usage` when the account was never published, or `moment` lies before its first observation.
    """
    at, mine = moment or now, (account_id,)
    with database_errors(), begin_reading(engine) as connection:
        as_of.refuse_unknown(connection, at, "--as-of" if moment else "the time", mine)
        (known,) = as_of.observed(connection, at, mine)
        first = _first_observed(connection, account_id)
        latest, more = _latest(connection, account_id, first, at)
        return AccountOverview(
            account_id=account_id,
            timezone=known.timezone,
            first_observed_at=first,
            source_url=_source_url(connection, known.run_id),
            latest=latest,
            more_changes=more,
            syncs=_syncs(connection, account_id, at),
            **asdict(read_summary(connection, at, moment, campaigns=CAMPAIGNS, account_id=account_id)),
        )


def _first_observed(connection: Connection, account_id: int) -> datetime:
    syncs = schema.account_syncs.c
    published = and_(syncs.account_id == account_id, syncs.status == AccountStatus.SUCCEEDED.value)
    first: datetime = connection.execute(select(func.min(syncs.observed_at)).where(published)).scalar_one()
    return first


def _source_url(connection: Connection, run_id: int) -> str | None:
    runs = schema.sync_runs.c
    return connection.scalar(select(runs.source_url).where(runs.run_id == run_id))


def _syncs(connection: Connection, account_id: int, now: datetime) -> tuple[AccountSync, ...]:
    syncs = schema.account_syncs
    mine = select(syncs).where(syncs.c.account_id == account_id, *ended_by(now))
    rows = connection.execute(mine.order_by(syncs.c.started_at.desc(), syncs.c.run_id.desc()).limit(SYNCS))
    return tuple(
        AccountSync(
            run_id=row.run_id,
            status=row.unreachable or row.status,
            started_at=row.started_at,
            observed_at=row.observed_at,
            listed_numbers=row.listed_numbers,
            requests=row.requests,
            rows_opened=row.rows_opened,
            rows_closed=row.rows_closed,
            error=row.error,
        )
        for row in rows
    )


# -- latest changes


def _latest(connection: Connection, account_id: int, first: datetime, now: datetime) -> tuple[tuple[Change, ...], bool]:
    """(the latest changes, whether there are older ones)."""
    start = _start(connection, account_id, first, now)
    found: deque[Change] = deque(maxlen=LATEST)
    count = 0
    for count, change in enumerate(  # noqa: B007 - the last count is the count of all
        read_changes(connection, TimeRange(start=start, end=now, accounts={account_id})), 1
    ):
        found.append(change)
    newest_first = sorted(found, key=lambda change: change.observed_at, reverse=True)
    return tuple(newest_first), count > LATEST or start > first


def _start(connection: Connection, account_id: int, first: datetime, now: datetime) -> datetime:
    """Moment after which the observations had `ROWS` rows opened and closed, or the first observation."""
    syncs = schema.account_syncs.c
    changed = syncs.rows_opened + syncs.rows_closed
    published = and_(syncs.account_id == account_id, syncs.status == AccountStatus.SUCCEEDED.value, changed > 0)
    later = select(syncs.observed_at, changed.label("changed")).where(
        published, syncs.observed_at > first, syncs.observed_at <= now
    )
    rows, earliest = 0, first
    for row in connection.execute(later.order_by(syncs.observed_at.desc())):
        rows += row.changed
        if rows >= ROWS:
            earliest = row.observed_at - timedelta(microseconds=1)
            break
    return earliest
