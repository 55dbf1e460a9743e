"""Known accounts: the facts about each account that earlier runs left in the warehouse."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, func, select

from etl.domain.runs import Unreachable
from etl.domain.viewer import NO_VIEWER, Viewer
from etl.errors import TryLater
from etl.store import schema
from etl.store.engine import database_errors


class KnownAccount(Struct, frozen=True, kw_only=True):
    """Account's name and time zone, and the viewer through whom its open numbers were listed; None: unknown.

    `described_at`: when name and zone were last requested; `users_compared_at`: when its other users last were.
    """

    account_name: str | None = None
    timezone: str | None = None
    viewer: Viewer = NO_VIEWER
    described_at: datetime | None = None
    users_compared_at: datetime | None = None
    synced: bool = False
    """Whether it was ever published. Only then does a viewer without a user mean the account's own token."""
    last_run_id: int | None = None
    """The last run that tried it."""
    unreachable: Unreachable | None = None
    """Reason why that run could not list it, if that is a known state."""
    observed_at: datetime | None = None
    """Its last observation."""
    turn_at: datetime | None = None
    """When it last had its turn: its last observation, or a later sync of it that failed or was held.

    A sync that is to be tried later, because the day's points ended for example, was no turn.
    """


def known_accounts(engine: Engine) -> dict[int, KnownAccount]:
    """Every account that was ever tried, by id."""
    rows, syncs = schema.accounts, schema.account_syncs
    newest = (func.max(syncs.c.run_id).label("run_id"), func.max(syncs.c.observed_at).label("seen_at"))
    tried = select(syncs.c.account_id, *newest).group_by(syncs.c.account_id).subquery()
    last = syncs.join(tried, (syncs.c.account_id == tried.c.account_id) & (syncs.c.run_id == tried.c.run_id)).join(
        rows, rows.c.account_id == syncs.c.account_id, isouter=True
    )
    of_last = (syncs.c[name] for name in ("account_id", "run_id", "unreachable", "started_at", "requests", "exit_code"))
    columns = [*of_last, tried.c.seen_at, rows.c.first_run_id, *_facts()]
    with database_errors(), engine.connect() as connection:
        found = connection.execute(select(*columns).select_from(last))
        return {row.account_id: _known(row) for row in found}


def _facts() -> list[Any]:
    names = ("account_name", "timezone", "listed_by_user_id", "listed_by_credential")
    return [schema.accounts.c[name] for name in (*names, "described_at", "users_compared_at")]


def _known(row: Any) -> KnownAccount:
    return KnownAccount(
        account_name=row.account_name,
        timezone=row.timezone,
        viewer=Viewer(credential=row.listed_by_credential, user_id=row.listed_by_user_id),
        described_at=row.described_at,
        users_compared_at=row.users_compared_at,
        synced=row.first_run_id is not None,
        last_run_id=row.run_id,
        unreachable=None if row.unreachable is None else Unreachable(row.unreachable),
        observed_at=row.seen_at,
        turn_at=_turn(row),
    )


def _turn(row: Any) -> datetime | None:
    """When the account last had its turn, by its last row and its last observation."""
    had_turn = row.requests and row.exit_code != TryLater.exit_code
    turns = (row.seen_at, row.started_at if had_turn else None)
    return max((moment for moment in turns if moment is not None), default=None)
