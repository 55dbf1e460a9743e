"""Observations of the accounts, as readers of changes ask for them: names, instants, first reports of fields."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, and_, select

from etl.domain.runs import AccountStatus
from etl.read import as_of
from etl.read.change_kinds import Thing
from etl.read.first_reported import first_reported
from etl.read.timeline import previous
from etl.store import schema


class Observations:
    """Names and observations of the accounts; instants are read for one account at a time."""

    def __init__(self, connection: Connection, horizon: datetime | None, accounts: Collection[int] = ()) -> None:
        """`horizon`: later observations give no names; `accounts`: those that may report fields (empty: all)."""
        self._connection = connection
        self._names = {known.account_id: known.account_name for known in as_of.observed(connection, horizon)}
        self._reported = first_reported(connection, accounts)
        self._account_id: int | None = None
        self._instants: list[datetime] = []

    def before(self, account_id: int, moment: datetime) -> datetime | None:
        """The account's last observation before the moment."""
        if account_id != self._account_id:
            syncs = schema.account_syncs
            mine = and_(syncs.c.account_id == account_id, syncs.c.status == AccountStatus.SUCCEEDED.value)
            instants = select(syncs.c.observed_at).where(mine).order_by(syncs.c.observed_at)
            self._account_id, self._instants = account_id, list(self._connection.scalars(instants))
        return previous(moment, self._instants)

    @property
    def several(self) -> bool:
        """Whether there is more than one account, so that numbers can move from one to another."""
        return len(self._names) > 1

    def account(self, account_id: int | None) -> Thing | None:
        """An account with its name; None for None."""
        return None if account_id is None else Thing(entity="account", id=account_id, name=self._names.get(account_id))

    def reported(self, account_id: int, moment: datetime) -> frozenset[str]:
        """Paths of the fields that the account's observation at this moment reported for the first time."""
        return self._reported.get((account_id, moment), frozenset())
