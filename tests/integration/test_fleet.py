"""Many accounts under one budget of points, in shards, or during other runs, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.domain.events import Notice
from etl.domain.runs import RunResult, RunStatus
from etl.domain.shards import Shard
from etl.sandbox.api import Api
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.rig import TOKEN, FakeClock, Rig

LISTING = "get.virtual_numbers"
ROSTER = 2
"""Points that discovery takes: users and customers."""


def _rig(engine: Engine, customers: int) -> Rig:
    return Rig(World(seed=8, customers=[CustomerPlan(numbers=4)] * customers, id_step=5), engine)


def _limited(rig: Rig, day_limit: int) -> Rig:
    rig.api = Api(rig.world, token=TOKEN, now=lambda: rig.clock.time.timestamp(), day_limit=day_limit)
    rig.api.before_request.append(lambda _: rig.clock.pass_time(1))
    return rig


def _observed(rig: Rig) -> dict[int, int]:
    """The count of observations of each account."""
    counted = "select account_id, count(observed_at) from account_syncs group by 1"
    return {account_id: n for account_id, n in rig.rows(counted) if n}


def _statuses(result: RunResult) -> dict[int, str]:
    return {a.account_id: a.status.value for a in result.accounts}


def _notices(rig: Rig) -> list[str]:
    return [event.message for event in rig.events if isinstance(event, Notice)]


@pytest.mark.parametrize("broken", [0, 2])
def test_a_small_budget_reaches_every_customer_in_turn(warehouse: Engine, broken: int) -> None:
    """Points for three customers a day: seven are observed after three days, even if some fail."""
    rig = _limited(_rig(warehouse, 7), ROSTER + 3)
    ids = rig.world.customer_ids
    for account_id in ids[:broken]:
        rig.world.block(account_id, "forbidden")
    for _ in range(3):
        rig.sync(concurrency=1)
    assert _observed(rig).keys() == set(ids[broken:])
    for _ in range(3):
        rig.sync(concurrency=1)
    assert max(_observed(rig).values()) - min(_observed(rig).values()) <= 1


def test_who_was_cut_off_by_the_budget_is_first_the_next_day(warehouse: Engine) -> None:
    """An account that ran out of points half-way keeps its place at the front of the queue."""
    rig = _limited(_rig(warehouse, 3), ROSTER + 10)  # a listing in pages of two numbers takes seven
    first, second, third = rig.world.customer_ids
    seen = [first], [first, second], [first, second, third]
    for expected in seen:
        rig.sync(concurrency=1, page_limit=2)
        assert sorted(_observed(rig)) == expected
    tried = "select exit_code from account_syncs where account_id = :second order by run_id"
    assert rig.rows(tried, second=second)[:2] == [(75,), (0,)]


def test_a_second_start_mends_what_is_missing(warehouse: Engine) -> None:
    """With `--older-than` only the customer that failed is listed again, plus discovery; the others are counted."""
    rig = _rig(warehouse, 4)
    rig.sync()
    late = rig.world.customer_ids[2]
    rig.world.block(late, "forbidden")
    assert rig.sync().exit_code == 3
    rig.world.unblock(late)
    rig.events.clear()
    before = len(rig.api.requests)
    result = rig.sync(older_than=timedelta(hours=25))
    assert (result.exit_code, _statuses(result)) == (0, {late: "succeeded"})
    assert "3 accounts were observed in the last 25 hours and left out" in _notices(rig)
    assert [name for name, *_ in rig.api.requests[before:]].count(LISTING) == 1
    rig.events.clear()
    before = len(rig.api.requests)
    result = rig.sync(older_than=timedelta(hours=49))
    assert (result.status, result.exit_code, result.accounts) == (RunStatus.SUCCEEDED, 0, ())
    assert len(rig.api.requests) - before == ROSTER


def test_shards_together_are_the_fleet(warehouse: Engine) -> None:
    """Each account is published by one of three shards; a customer that leaves is reported by its own shard alone."""
    rig = _rig(warehouse, 9)
    parts = [rig.sync(shard=Shard(k, 3)) for k in range(1, 4)]
    assert [part.exit_code for part in parts] == [0, 0, 0]
    assert sorted(i for part in parts for i in _statuses(part)) == rig.world.customer_ids
    gone = rig.world.customer_ids[4]
    rig.world.remove_customer(gone)
    again = [rig.sync(shard=Shard(k, 3)) for k in range(1, 4)]
    told = [{i for i, status in _statuses(part).items() if status == "unreachable"} for part in again]
    assert told == [{gone} if Shard(k, 3).has(gone) else set() for k in range(1, 4)]
    assert [part.exit_code for part in again] == [3 if Shard(k, 3).has(gone) else 0 for k in range(1, 4)]


def test_accounts_of_another_run_are_skipped(warehouse: Engine) -> None:
    """While one run lists a customer, another syncs the others: claimed, exit 3, and no row for that customer."""
    rig = _rig(warehouse, 3)
    rig.sync()
    first, *rest = rig.world.customer_ids
    rig.world.pass_day(share=0.5)
    beside = Rig(rig.world, warehouse, clock=FakeClock(rig.clock.time + timedelta(hours=25)))
    results: list[RunResult] = []

    def meanwhile(request: dict[str, Any]) -> None:
        if request.get("method") == LISTING and not results:
            results.append(beside.sync())

    rig.api.before_request.append(meanwhile)
    assert rig.sync(accounts=frozenset({first})).exit_code == 0
    (result,) = results
    assert (result.status, result.exit_code) == (RunStatus.PARTIAL, 3)
    assert _statuses(result) == {first: "claimed", **dict.fromkeys(rest, "succeeded")}
    claimed = next(a for a in result.accounts if a.account_id == first)
    assert str(claimed.error).startswith("it is being synced by run ")
    assert rig.rows("select account_id from account_syncs where run_id = :run", run=result.run_id) == [
        (account_id,) for account_id in rest
    ]
    assert rig.rows("select count(*) from account_claims") == [(0,)]
    assert oracle.broken_invariants(warehouse) == []
    for account_id in rig.world.customer_ids:
        truth = oracle.expected(rig.world.truth(account_id))
        assert not oracle.differences(oracle.current(warehouse, account_id), truth)
