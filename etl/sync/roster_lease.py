"""Roster of a fleet: of processes that begin together one asks for it, the others take what it found."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from etl.domain.ports import Clock
from etl.extract.accounts import Roster, discover
from etl.extract.jsonrpc import DataApi
from etl.store.point_budgets import Lease, PointBudget

FindRoster = Callable[[DataApi], Roster]
"""Finds the accounts that a token can read."""
POLL_SECONDS = 0.5

_decoder = msgspec.json.Decoder(Roster)


def leased(budget: PointBudget, clock: Clock) -> FindRoster:
    """Finds the roster in the budget's row, or asks for it (`discover`) and keeps it there for the others."""

    def find(api: DataApi) -> Roster:
        while (found := budget.roster()) is Lease.OTHERS:
            clock.sleep(POLL_SECONDS)
        if isinstance(found, str):
            try:
                return _decoder.decode(found)
            except msgspec.DecodeError:  # of another release
                return discover(api)
        return _asked(api, budget)

    return find


def _asked(api: DataApi, budget: PointBudget) -> Roster:
    try:
        roster = discover(api)
    except BaseException:
        budget.keep_roster(None)
        raise
    budget.keep_roster(msgspec.json.encode(roster).decode())
    return roster
