"""Figures for a monitoring system: the status of the accounts, runs and claims, and the points left of the day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field
from sqlalchemy import Connection, Engine, func, select

from etl.domain.runs import RunStatus
from etl.extract.ledger import DayPoints, day_points
from etl.read.status import Status, status_at
from etl.store import schema
from etl.store.engine import begin_reading, database_errors


class Monitoring(Struct, frozen=True, kw_only=True):
    """Figures of the warehouse at `read_at`.

    `last_success`: end of the newest run with exit code 0, None if there is none; `claimed`: ids of the accounts that
    runs are syncing or about to sync; `points`: of the tokens whose processes share them, by a name that tells nothing
    of the token.
    """

    read_at: datetime
    status: Status = field(default_factory=Status)
    last_success: datetime | None = None
    running: int = 0
    claimed: frozenset[int] = frozenset()
    points: Mapping[str, DayPoints] = field(default_factory=dict)


def read_monitoring(engine: Engine, now: datetime) -> Monitoring:
    """The figures as of `now` (aware), from one snapshot of the warehouse."""
    with database_errors(), begin_reading(engine) as connection:
        return Monitoring(
            read_at=now,
            status=status_at(connection, now),
            last_success=_last_success(connection),
            running=_running(connection),
            claimed=_claimed(connection),
            points=_points(connection, now),
        )


def _last_success(connection: Connection) -> datetime | None:
    runs = schema.sync_runs
    found: datetime | None = connection.scalar(select(func.max(runs.c.finished_at)).where(runs.c.exit_code == 0))
    return found


def _running(connection: Connection) -> int:
    runs = schema.sync_runs
    return connection.scalar(select(func.count()).where(runs.c.status == RunStatus.RUNNING.value)) or 0


def _claimed(connection: Connection) -> frozenset[int]:
    """Accounts whose claim belongs to a running run; the claim of a run that has ended has no effect."""
    claims, runs = schema.account_claims, schema.sync_runs
    held = select(claims.c.account_id).join(runs, runs.c.run_id == claims.c.run_id)
    return frozenset(connection.scalars(held.where(runs.c.status == RunStatus.RUNNING.value)))


def _points(connection: Connection, now: datetime) -> dict[str, DayPoints]:
    budgets = schema.point_budgets
    rows = connection.execute(select(budgets.c.credential, budgets.c.state).order_by(budgets.c.credential)).all()
    found = {_without_digest(name): day_points(state, now.timestamp()) for name, state in rows}
    return {name: points for name, points in found.items() if points is not None}


def _without_digest(credential: str) -> str:
    """Name of a token without the digest of its secret: the kind and the random salt, `key:5f0c1b2a`."""
    kind, _, rest = credential.partition(":")
    return f"{kind}:{rest.partition(':')[0][:8]}"
