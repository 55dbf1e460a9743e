"""What the warehouse knows of its accounts from the last time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select

from etl.store import schema
from etl.store.engine import database_errors


@dataclass(frozen=True, kw_only=True)
class KnownAccount:
    """An account's name, time zone, and the user through whose eyes it was listed; None where nothing is known."""

    account_name: str | None = None
    timezone: str | None = None
    listed_by_user_id: int | None = None
    synced: bool = False
    """Whether it was ever published; only then does `listed_by_user_id` None mean: through the account's own token."""
    last_run_id: int | None = None
    """The last run that tried it."""
    missed: bool = False
    """Whether that run has put on record that the token no longer reaches it."""


GONE = "the token does not reach it any more; its rows stay as they were"
"""What `account_syncs` says of an account of the warehouse that is no longer among the token's."""


def is_gone(error: str | None) -> bool:
    """Whether the error of a failed account sync is the record that the token no longer reaches the account."""
    return (error or "").startswith(GONE)


def known_accounts(engine: Engine) -> dict[int, KnownAccount]:
    """The accounts of the warehouse, by id."""
    rows, syncs = schema.accounts, schema.account_syncs
    tried = select(syncs.c.account_id, func.max(syncs.c.run_id).label("run_id")).group_by(syncs.c.account_id).subquery()
    last = rows.join(tried, tried.c.account_id == rows.c.account_id).join(
        syncs, (syncs.c.account_id == tried.c.account_id) & (syncs.c.run_id == tried.c.run_id)
    )
    columns = [rows.c[n] for n in ("account_id", "account_name", "timezone", "listed_by_user_id")]
    with database_errors(), engine.connect() as connection:
        found = connection.execute(select(*columns, syncs.c.run_id, syncs.c.error).select_from(last))
        return {row.account_id: _known(row) for row in found}


def _known(row: Any) -> KnownAccount:
    return KnownAccount(
        account_name=row.account_name,
        timezone=row.timezone,
        listed_by_user_id=row.listed_by_user_id,
        synced=True,
        last_run_id=row.run_id,
        missed=is_gone(row.error),
    )
