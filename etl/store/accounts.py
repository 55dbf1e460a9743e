"""What the warehouse knows of its accounts from the last time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, select

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


def known_accounts(engine: Engine) -> dict[int, KnownAccount]:
    """The accounts of the warehouse, by id."""
    rows = schema.accounts
    names = ("account_name", "timezone", "listed_by_user_id")
    with database_errors(), engine.connect() as connection:
        found = connection.execute(select(rows.c.account_id, *(rows.c[n] for n in names)))
        return {row.account_id: KnownAccount(**{n: getattr(row, n) for n in names}, synced=True) for row in found}
