"""Quarantined records and elements of one number, from its account's last observation."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, select

from etl.read.as_of import Observed
from etl.store import schema


class Quarantined(Struct, frozen=True, kw_only=True):
    """A record, or an element of one, that could not be used: its path in the record, and the reason."""

    path: str
    reason: str


def of_number(connection: Connection, seen: Observed, number_id: int) -> tuple[Quarantined, ...]:
    """The quarantined parts of the number at this observation, in the order in which they were found."""
    kept = schema.quarantine.c
    mine = (kept.account_id == seen.account_id) & (kept.run_id == seen.run_id) & (kept.virtual_number_id == number_id)
    found = connection.execute(select(kept.path, kept.reason).where(mine).order_by(kept.quarantine_id))
    return tuple(Quarantined(path=row.path, reason=row.reason) for row in found)
