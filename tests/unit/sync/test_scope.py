"""Scope of a run: which accounts it takes, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from etl.domain.events import Event, Notice
from etl.domain.shards import Shard
from etl.errors import Incomplete
from etl.extract.accounts import Account, Roster
from etl.store.accounts import KnownAccount
from etl.sync.context import SyncOptions
from etl.sync.scope import claimed_result, longest_unseen_first, wanted, without_fresh

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _accounts(*ids: int) -> tuple[Account, ...]:
    return tuple(Account(account_id=i, user_ids=(i,)) for i in ids)


def _seen(hours: int) -> KnownAccount:
    at = NOON - hours * HOUR
    return KnownAccount(observed_at=at, turn_at=at, synced=True)


def _ids(accounts: list[Account] | tuple[Account, ...]) -> list[int]:
    return [a.account_id for a in accounts]


def test_a_shard_takes_its_accounts_of_the_roster() -> None:
    """The shards of a division take each account once, also of those that were chosen by id."""
    roster, said = Roster(role="agent", accounts=_accounts(*range(1, 40))), list[Event]()
    for chosen in (frozenset[int](), frozenset({3, 4, 5})):
        parts = [
            _ids(wanted(roster, SyncOptions(accounts=chosen, shard=Shard(k, 3)), said.append)) for k in range(1, 4)
        ]
        assert sorted(i for part in parts for i in part) == sorted(chosen or range(1, 40))
    assert said == []


def test_fresh_accounts_are_left_out_and_counted() -> None:
    """Those observed not longer ago than asked for; never observed ones are taken."""
    said, known = list[Event](), {1: _seen(1), 2: _seen(20), 3: _seen(21), 5: KnownAccount()}
    taken = without_fresh(_accounts(1, 2, 3, 4, 5), known, SyncOptions(older_than=20 * HOUR), NOON, said.append)
    assert _ids(taken) == [3, 4, 5]
    assert said == [Notice(message="2 accounts were observed in the last 20 hours and left out")]


def test_without_an_age_nothing_is_left_out() -> None:
    """Without --older-than even fresh accounts are synced, and nothing is reported."""
    said = list[Event]()
    assert _ids(without_fresh(_accounts(1), {1: _seen(0)}, SyncOptions(), NOON, said.append)) == [1]
    assert said == []


def test_the_account_that_waits_longest_comes_first() -> None:
    """Never tried ones before all others, then by their last turn; at the same time by id."""
    known = {1: _seen(1), 2: _seen(3), 3: _seen(2), 4: _seen(3), 6: KnownAccount()}
    assert _ids(longest_unseen_first(_accounts(1, 2, 3, 4, 5, 6), known)) == [5, 6, 2, 4, 3, 1]


def test_a_claimed_account_says_by_whom() -> None:
    """Its line names the run, says that nothing needs to be done, and leaves the run incomplete."""
    (account,) = _accounts(3)
    result = claimed_result(7, account, "run 5 (process 12)", NOON)
    assert (result.status, result.exit_code, result.observed_at) == ("claimed", Incomplete.exit_code, None)
    assert result.error == "it is being synced by run 5 (process 12). Nothing needs to be done: that run publishes it"


@st.composite
def _fleets(draw: st.DrawFn) -> tuple[dict[int, int], int]:
    """Cost of each account's sync, and a day's budget that suffices for the most expensive one."""
    costs = draw(st.dictionaries(st.integers(1, 99), st.integers(1, 9), min_size=1, max_size=12))
    return costs, draw(st.integers(max(costs.values()), sum(costs.values()) + 1))


@given(_fleets(), st.sets(st.integers(1, 99)))
def test_with_any_budget_everyone_has_a_turn(fleet: tuple[dict[int, int], int], broken: set[int]) -> None:
    """Points for one account a day suffice: in as many days as there are accounts each is observed; and so again.

    Accounts that fail for a reason of their own, and spend points each time, do not delay others.
    """
    costs, budget = fleet
    known: dict[int, KnownAccount] = {}
    accounts = _accounts(*sorted(costs))
    for day in range(2 * len(costs)):
        now, left = NOON + timedelta(days=day), budget
        for account in longest_unseen_first(accounts, known):
            i = account.account_id
            if costs[i] > left:
                left = max(0, left - 1)  # its first answer shows that the points do not suffice: no turn
                continue
            left -= costs[i]
            seen = known.get(i, KnownAccount()).observed_at if i in broken else now
            known[i] = KnownAccount(observed_at=seen, turn_at=now)
        if day + 1 >= len(costs):
            since = now - timedelta(days=len(costs) - 1)
            assert all(k.turn_at is not None and k.turn_at >= since for k in known.values())
            assert known.keys() == costs.keys()
