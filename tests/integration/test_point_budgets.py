"""The row of a token's points, on both databases: one for each token, changed by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from random import Random
from threading import Thread

import pytest
from sqlalchemy import Engine, text

from etl.extract.credentials import PermanentKey
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import open_warehouse
from etl.store.point_budgets import LEASE, ROSTER_AGE, Lease, PointBudget
from etl.sync.roster_lease import leased
from tests.support.rig import FakeClock, Rig

NAMES = ("get.customer_users", "get.customers")


def _budget(engine: Engine, key: str = "key", clock: FakeClock | None = None) -> PointBudget:
    mine = PermanentKey(key)

    def named(known: Iterable[str]) -> str:
        return mine.named(known, Random(len(key)))

    return PointBudget(engine, clock or FakeClock(), named)


def test_a_token_has_one_row_whoever_comes_first(warehouse: Engine) -> None:
    """Two processes of a token change the same state, another token has its own; no key is stored."""
    one, other, stranger = _budget(warehouse), _budget(warehouse), _budget(warehouse, "another-key")
    one.change(lambda state, _: f"{state}a")
    other.change(lambda state, _: f"{state}b")
    stranger.change(lambda state, _: f"{state}c")
    for each in (one, other, stranger):
        each.close()
    with warehouse.connect() as connection:
        rows = sorted(connection.execute(text("select state, credential from point_budgets")).all())
    assert [state for state, _ in rows] == ["ab", "c"]
    assert not [name for _, name in rows if "another-key" in name]


def test_changes_at_once_are_all_kept(warehouse: Engine, warehouse_url: str) -> None:
    """Four threads with their own engines add one 25 times each: nothing is lost."""

    def add() -> None:
        engine = open_warehouse(warehouse_url)
        budget = _budget(engine)
        for _ in range(25):
            budget.change(lambda state, _: str(int(state or 0) + 1))
        budget.close()
        engine.dispose()

    threads = [Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with warehouse.connect() as connection:
        assert connection.scalar(text("select state from point_budgets")) == "100"


def _seeing(seen: list[str], after: str | None = None) -> Callable[[str, float], str]:
    """A change that records the state it was given, and returns `after` or the same state."""

    def change(state: str, _: float) -> str:
        seen.append(state)
        return after or state

    return change


def test_a_table_that_is_emptied_is_begun_anew(warehouse: Engine) -> None:
    """Deleting the rows, also during a run, stops no process."""
    budget, seen = _budget(warehouse), list[str]()
    budget.change(lambda _, __: "known")
    with warehouse.begin() as connection:
        connection.execute(text("delete from point_budgets"))
    budget.change(_seeing(seen, "new"))
    budget.change(_seeing(seen))
    budget.close()
    assert seen == ["", "new"]


def test_an_error_leaves_the_state(warehouse: Engine) -> None:
    """The caller gets the change's error, and the next change finds the state unchanged."""
    budget, seen = _budget(warehouse), list[str]()
    budget.change(lambda _, __: "as it was")

    def fail(_: str, __: float) -> str:
        raise LookupError

    with pytest.raises(LookupError):
        budget.change(fail)
    budget.change(_seeing(seen))
    budget.close()
    assert seen == ["as it was"]


@pytest.fixture
def pass_time(warehouse: Engine) -> Callable[[FakeClock, timedelta], None]:
    """Lets time pass for a budget: on the clock, and for PostgreSQL, which uses the server's time, in the row."""

    def passed(clock: FakeClock, length: timedelta) -> None:
        clock.pass_time(length.total_seconds())
        if warehouse.name == "postgresql":
            with warehouse.begin() as connection:
                for name in ("roster_at", "leased_until"):
                    connection.execute(
                        text(f"update point_budgets set {name} = {name} - cast(:length as interval)"),
                        {"length": length},
                    )

    return passed


def test_one_process_asks_for_the_roster(warehouse: Engine, pass_time: Callable[[FakeClock, timedelta], None]) -> None:
    """Other processes wait for the roster and use it while it is new; a process that died is not waited for."""
    clock = FakeClock()
    one, other = _budget(warehouse, clock=clock), _budget(warehouse, clock=clock)
    assert (one.roster(), other.roster()) == (Lease.TAKEN, Lease.OTHERS)
    pass_time(clock, LEASE + timedelta(seconds=1))
    assert (other.roster(), one.roster()) == (Lease.TAKEN, Lease.OTHERS)
    other.keep_roster(None)
    assert one.roster() is Lease.TAKEN
    one.keep_roster("the roster")
    assert other.roster() == "the roster"
    pass_time(clock, ROSTER_AGE + timedelta(seconds=1))
    assert other.roster() is Lease.TAKEN
    one.close()
    other.close()


def test_a_second_process_takes_the_roster_that_the_first_found(warehouse: Engine) -> None:
    """The discovery of the second process costs nothing, and it syncs the same accounts, names and users."""
    rig = Rig(World(seed=3, customers=[CustomerPlan(numbers=3)] * 3, id_step=5), warehouse)
    budget = _budget(warehouse, clock=rig.clock)
    first = rig.sync(find_roster=leased(budget, rig.clock))
    asked = {name: rig.api.count(name) for name in NAMES}
    rig.clock.time -= timedelta(days=1)  # the rig advances the clock by a day before each run
    second = rig.sync(find_roster=leased(budget, rig.clock))
    budget.close()
    assert asked == dict.fromkeys(NAMES, 1) == {name: rig.api.count(name) for name in NAMES}
    assert [(a.account_id, a.account_name) for a in first.accounts] == [
        (a.account_id, a.account_name) for a in second.accounts
    ]
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_a_roster_of_another_release_is_asked_for_again(warehouse: Engine) -> None:
    """A roster that cannot be read does not stop the run."""
    rig = Rig(World(seed=3, customers=[CustomerPlan(numbers=3)], id_step=5), warehouse)
    budget = _budget(warehouse, clock=rig.clock)
    budget.keep_roster('{"role": "king"}')
    rig.clock.time -= timedelta(days=1)
    assert rig.sync(find_roster=leased(budget, rig.clock)).exit_code == 0
    budget.close()
