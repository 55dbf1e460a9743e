"""Notices of numbers that a run closed in one account and that are open in another: they have moved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from sqlalchemy import Engine

from etl.domain.events import Notice
from etl.domain.runs import AccountResult, TableChange
from etl.domain.tables import VIRTUAL_NUMBERS
from etl.read.moves import Move, moves_of_run
from etl.store.engine import begin_reading, database_errors

NAMED = 5
"""How many moves get a notice each; of more, one notice names so many and counts the rest."""


def notices(engine: Engine, results: Collection[AccountResult], accounts: Collection[int]) -> list[Notice]:
    """Notices of the moves of a run, from the results of its accounts; `accounts`: all of the warehouse.

    One query, and none where no number was closed or there is only one account.
    """
    closed = [a for a in results if a.changes.get(VIRTUAL_NUMBERS.name, TableChange()).closed]
    instants = [a.observed_at for a in closed if a.observed_at is not None]
    if not instants or len(accounts) < 2:
        return []
    with database_errors(), begin_reading(engine) as connection:
        run_id, since = closed[0].run_id, min(instants)
        return list(worded(moves_of_run(connection, run_id, [a.account_id for a in closed], since)))


def worded(moves: Iterable[Move]) -> Iterator[Notice]:
    """One notice for each move, or one for all of them where there are many."""
    several = iter(moves)
    first = list(islice(several, NAMED))
    more = sum(1 for _ in several)
    if more:
        named = ", ".join(f"{m.virtual_number_id} from {m.account_id} to {m.to_account_id}" for m in first)
        yield Notice(message=f"{NAMED + more} numbers moved between accounts: {named}, and {more} more")
        return
    for move in first:
        way = f"from account {move.account_id} to account {move.to_account_id}"
        yield Notice(message=f"number {move.virtual_number_id} moved {way}")
