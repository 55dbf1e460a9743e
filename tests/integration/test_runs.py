"""Concurrent runs, successive runs, and runs after killed ones, on both databases."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.domain.events import Waiting
from etl.domain.runs import RunStatus
from etl.errors import Stopped, TryLater, VnsyncError
from etl.sandbox import faults
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import begin_writing
from tests.support import oracle
from tests.support.checkout import ROOT
from tests.support.rig import FakeClock, Rig

LISTING = "get.virtual_numbers"


def _world(*numbers: int) -> World:
    return World(seed=6, customers=[CustomerPlan(numbers=n) for n in numbers], id_step=5)


def _statuses(rig: Rig) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in rig.rows("select status, exit_code from sync_runs order by run_id")]


def _once(rig: Rig, when: str, do: Callable[[], object]) -> None:
    """Call `do` at the next request of a method, before it is answered."""

    def hook(request: dict[str, Any]) -> None:
        if request.get("method") == when:
            rig.api.before_request.remove(hook)
            do()

    rig.api.before_request.append(hook)


def _beside(rig: Rig) -> Rig:
    """A second process, simulated: its own client, clock and sandbox over the same world and warehouse."""
    clock = FakeClock(rig.clock.time + timedelta(hours=1))
    return Rig(rig.world, rig.engine, clock=clock)


@pytest.mark.fault("X09")
def test_a_second_run_on_a_claimed_account_comes_later(warehouse: Engine) -> None:
    """X09: while a run lists an account, another run gets exit 75 before it lists anything."""
    rig, turned_away = Rig(_world(10), warehouse), []
    second = _beside(rig)

    def intrude() -> None:
        with pytest.raises(TryLater, match=f"account {rig.only}") as caught:
            second.sync()
        turned_away.append(caught.value)

    _once(rig, LISTING, intrude)
    assert rig.sync().exit_code == 0
    (error,) = turned_away
    assert error.exit_code == 75
    assert second.api.count(LISTING) == 0
    rows = rig.rows("select run_id, status, exit_code from sync_runs order by exit_code")
    assert [tuple(row)[1:] for row in rows] == [("succeeded", 0), ("failed", 75)]
    assert error.run_id == rows[1].run_id
    assert rig.rows("select count(*) from account_claims") == [(0,)]


@pytest.mark.fault("X10")
def test_runs_of_different_accounts_go_side_by_side(warehouse: Engine) -> None:
    """X10: each publishes its own account, and neither waits for the other."""
    rig = Rig(_world(10, 10), warehouse)
    first, other = rig.world.customer_ids
    second = _beside(rig)
    _once(rig, LISTING, lambda: _succeeds(second, other))
    _succeeds(rig, first)
    assert _statuses(rig) == [("succeeded", 0)] * 2
    assert len(rig.rows("select distinct account_id from virtual_numbers")) == 2
    assert oracle.broken_invariants(warehouse) == []


def _succeeds(rig: Rig, account_id: int) -> None:
    assert rig.sync(accounts=frozenset({account_id})).exit_code == 0


DYING = """
import os, signal, sys
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import open_warehouse
from tests.support.rig import Rig
rig = Rig(World(seed=6, customers=[CustomerPlan(numbers=10)], id_step=5), open_warehouse(sys.argv[1]))
rig.api.after_request.append(
    lambda request: request.get("method") == "get.virtual_numbers" and os.kill(os.getpid(), signal.SIGKILL)
)
rig.sync()
"""


def _kill_one_mid_run(url: str) -> None:
    died = subprocess.run([sys.executable, "-c", DYING, url], cwd=ROOT, timeout=60, check=False)
    assert died.returncode == -9


def _others(engine: Engine) -> int:
    if engine.name == "sqlite":
        return 0
    statement = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    with engine.connect() as connection:
        return int(connection.scalar(text(statement)) or 0)


@pytest.mark.fault("X11")
def test_a_dead_run_is_marked_by_the_next(warehouse: Engine, warehouse_url: str) -> None:
    """X11: a process killed in the middle leaves a row with status running; the next run needs no repair."""
    _kill_one_mid_run(warehouse_url)
    for _ in range(200):  # until the server has noticed
        if not _others(warehouse):
            break
        time.sleep(0.02)
    rig = Rig(_world(10), warehouse)
    assert _statuses(rig) == [("running", None)]
    assert rig.rows("select count(*) from virtual_numbers") == [(0,)]
    assert rig.rows("select count(*) from account_claims") == [(1,)]
    rig.clock.pass_time(86_400)
    assert rig.sync().exit_code == 0
    assert [status for status, _ in _statuses(rig)] == ["interrupted", "succeeded"]
    marked = "select count(*) from sync_runs where status = 'interrupted' and finished_at is not null and error <> ''"
    assert rig.rows(marked) == [(1,)]
    assert rig.rows("select count(*) from account_claims") == [(0,)]
    assert not oracle.differences(oracle.current(warehouse, rig.only), oracle.expected(rig.world.truth(rig.only)))


@pytest.mark.fault("X12")
def test_a_run_whose_claim_was_taken_over_publishes_nothing(warehouse: Engine) -> None:
    """X12: a process that slept, and whose claim was taken over, is stopped by the fence: exit 75, data unchanged."""
    rig = Rig(_world(10), warehouse)
    rig.sync()
    before = oracle.current(warehouse, rig.only)

    def take_over() -> None:
        with begin_writing(warehouse) as connection:
            newer = "select max(run_id) + 1, started_at, 'running', source_url, version from sync_runs"
            connection.execute(
                text(
                    "insert into sync_runs (run_id, started_at, status, source_url, version)"
                    f" {newer} group by started_at, source_url, version order by 1 desc limit 1"
                )
            )
            connection.execute(text("update account_claims set run_id = (select max(run_id) from sync_runs)"))

    rig.world.pass_day(share=0.5)
    _once(rig, LISTING, take_over)
    result = rig.sync()
    assert (result.status, result.exit_code) == (RunStatus.FAILED, 75)
    assert "took over" in str(result.error)
    assert oracle.current(warehouse, rig.only) == before
    assert rig.rows("select count(*) from account_claims") == [(1,)]


@pytest.mark.fault("P08")
def test_the_minutes_points_are_waited_for_on_the_clock(warehouse: Engine) -> None:
    """P08: five customers at two points a minute: the run waits as often as necessary, reports it, and succeeds."""
    rig = Rig(_world(5, 5, 5, 5, 5), warehouse)
    rig.api.limits.minute_limit = 2
    rig.api.limits.__post_init__()
    assert rig.sync().exit_code == 0
    waits = [event for event in rig.events if isinstance(event, Waiting)]
    assert 4 <= len(waits) <= 8
    assert {event.reason for event in waits} == {"the minute's API points are used up"}
    assert all(1 <= seconds <= 61 for seconds in rig.clock.slept)


@pytest.mark.fault("P09")
def test_a_day_that_is_used_up_already_is_exit_75(warehouse: Engine) -> None:
    """P09: nothing can be tried: the run is recorded as failed, and the error carries its run id."""
    rig = Rig(_world(5), warehouse)
    rig.api.faults.add(faults.error("limit_exceeded", params={"limit_type": "day"}), method=None, times=None)
    with pytest.raises(TryLater) as caught:
        rig.sync()
    assert caught.value.exit_code == 75
    assert [caught.value.run_id] == [row[0] for row in rig.rows("select run_id from sync_runs")]
    assert _statuses(rig) == [("failed", 75)]


@pytest.mark.fault("P09")
def test_a_day_that_ends_in_the_only_account_is_exit_75(warehouse: Engine) -> None:
    """P09: the account is not published; the next day's run succeeds."""
    rig = Rig(_world(5), warehouse)
    rig.api.faults.add(faults.error("limit_exceeded", params={"limit_type": "day"}))
    result = rig.sync()
    assert (result.status, result.exit_code) == (RunStatus.FAILED, 75)
    assert rig.sync().exit_code == 0


@pytest.mark.parametrize("numbers", [(10,), (10, 10, 10)], ids=["one account", "the second of three"])
@pytest.mark.fault("X02")
def test_a_stopped_run_stops(warehouse: Engine, numbers: tuple[int, ...]) -> None:
    """X02: a signal ends the run at once, as interrupted and with the signal's code; no further account is begun."""
    rig = Rig(_world(*numbers), warehouse)

    def stop() -> None:
        raise Stopped(15, "SIGTERM")

    begun = len(numbers) // 2
    if begun:
        _once(rig, LISTING, lambda: _once(rig, LISTING, stop))
    else:
        _once(rig, LISTING, stop)
    with pytest.raises(Stopped):
        rig.sync()
    assert _statuses(rig) == [("interrupted", 143)]
    assert rig.api.count(LISTING) == begun
    assert rig.rows("select count(distinct account_id) from virtual_numbers") == [(begun,)]
    assert rig.rows("select count(*) from account_claims") == [(0,)]


@pytest.mark.fault("B01")
def test_a_connection_that_dies_during_the_load(postgresql_template: str, new_postgresql: Callable[..., str]) -> None:
    """B01: the server ends the session before rows are copied: exit 69, a final row, and the next run succeeds."""
    from etl.store.engine import open_warehouse

    rig = Rig(_world(10), open_warehouse(new_postgresql(postgresql_template)))
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where pid <> pg_backend_pid() and datname = current_database()"
    )
    _once(rig, LISTING, lambda: rig.rows(kill))
    try:
        code = rig.sync().exit_code
    except VnsyncError as error:
        code = error.exit_code
    assert code == 69
    assert rig.rows("select count(*) from sync_runs where status = 'running'") == [(0,)]
    assert rig.rows("select count(*) from virtual_numbers") == [(0,)]
    assert rig.sync().exit_code == 0


@pytest.mark.fault("X08")
def test_a_clock_that_goes_back_does_not_turn_time(warehouse: Engine) -> None:
    """X08: an hour back, or ten years forth and back: moments strictly grow, and no version is empty."""
    rig = Rig(_world(10), warehouse)
    rig.sync()
    for days in (-2, 3650, -3650):
        rig.clock.time += timedelta(days=days)
        rig.world.edit(rig.only, rig.world.numbers(rig.only)[0], comment=str(days))
        assert rig.sync().exit_code == 0
    moments = [row[0] for row in rig.rows("select observed_at from account_syncs order by run_id")]
    published = [row[0] for row in rig.rows("select valid_from from virtual_numbers_history order by valid_from")]
    assert len(set(moments)) == len(moments) == 4
    assert len(set(published)) == 4
    assert oracle.broken_invariants(warehouse) == []
