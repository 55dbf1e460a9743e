"""Known accounts: the facts about each account that earlier runs left in the warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from etl.domain.runs import Unreachable
from etl.domain.viewer import NO_VIEWER, Viewer
from etl.store import schema
from etl.store.engine import database_errors


@dataclass(frozen=True, kw_only=True)
class KnownAccount:
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


def known_accounts(engine: Engine) -> dict[int, KnownAccount]:
    """Every account that was ever tried, by id."""
    rows, syncs = schema.accounts, schema.account_syncs
    tried = select(syncs.c.account_id, func.max(syncs.c.run_id).label("run_id")).group_by(syncs.c.account_id).subquery()
    last = syncs.join(tried, (syncs.c.account_id == tried.c.account_id) & (syncs.c.run_id == tried.c.run_id)).join(
        rows, rows.c.account_id == syncs.c.account_id, isouter=True
    )
    columns = [syncs.c.account_id, syncs.c.run_id, syncs.c.unreachable, rows.c.first_run_id, *_facts()]
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
    )
