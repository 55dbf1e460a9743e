"""P08-P11: points of the minute and of the day: waited for, reported, and not spent in vain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.domain.events import Notice, Waiting
from etl.domain.runs import AccountStatus
from etl.extract.jsonrpc import MINUTE_WAITS
from etl.sandbox.faults import (
    LISTING,
    MISSING,
    Limits,
    error,
)
from etl.sandbox.limits import Limits as ApiLimits
from etl.sandbox.world import CustomerPlan, World
from tests.support.protocol_case import SMALL, agency, equals_truth, is_proof, open_ids, recovers, synced, tables
from tests.support.rig import Rig
from tests.support.source_case import how_it_ends, one_customer


@pytest.fixture
def sqlite_rig(sqlite_warehouse: Engine) -> Rig:
    """A synced customer in SQLite, whose world has changed since."""
    return synced(sqlite_warehouse, 12)


@pytest.mark.fault("P08")
def test_a_minute_limit_is_waited_out(warehouse: Engine) -> None:
    """Six points a minute: the run waits for each new minute, reports it, and publishes everything."""
    rig = synced(warehouse)
    rig.api.limits = ApiLimits(lambda: rig.clock.time.timestamp(), 6, None)
    assert rig.sync(**SMALL).exit_code == 0
    waits = [event.seconds for event in rig.events if isinstance(event, Waiting)]
    assert waits
    assert all(1 <= seconds <= 61 for seconds in waits)
    equals_truth(rig)


@pytest.mark.parametrize("reset", [0, 1, 17, 59, -5, "30", None, True, 10**9, 1e300, [], MISSING])
@pytest.mark.fault("P08", "P10")
def test_a_minute_limit_that_stays(sqlite_warehouse: Engine, reset: Any) -> None:
    """The error on every request, with any reset: bounded waits of at least a second, then exit 75."""
    rig = synced(sqlite_warehouse)
    before = tables(rig)
    limits = {} if reset is MISSING else {"minute_reset": reset}
    rig.api.faults.add(error("limit_exceeded", params={"limit_type": "minute"}), times=None)
    rig.api.faults.add(Limits(limits), times=None)
    code, _ = how_it_ends(lambda: rig.sync(**SMALL))
    assert (code, rig.api.count(LISTING)) == (75, MINUTE_WAITS)
    assert len(rig.clock.slept) == MINUTE_WAITS
    assert all(1 <= seconds <= 121 for seconds in rig.clock.slept)
    assert tables(rig) == before


@pytest.mark.parametrize("customers", [1, 5])
@pytest.mark.fault("P09")
def test_a_day_limit_stops_the_run(warehouse: Engine, customers: int) -> None:
    """The day's points end in the middle: published accounts stay, exit 75 says when to run again; resumable."""
    rig = agency(warehouse, customers)
    rig.api.faults.add(error("limit_exceeded", params={"limit_type": "day"}), at=min(3, customers), times=None)
    rig.api.faults.add(Limits({"day_reset": 7200}), at=min(3, customers), times=None)
    result = rig.sync()
    assert result.exit_code == 75
    assert "in 2.0 h" in (result.error or "")
    assert rig.api.count(LISTING) == min(3, customers)
    recovers(rig)


SENSELESS: list[object] = [None, "5", -1, True, [], {}, "soon", -(10**400), 1.5, MISSING]
LIMITS = ["day_remaining", "minute_remaining", "day_reset", "minute_reset", "limits"]
"""Each of these values is tried in each of these limits; most cases are marked as soak."""


def _senseless() -> Iterator[Any]:
    for i, name in enumerate(LIMITS):
        for j, value in enumerate(SENSELESS):
            called = "missing" if value is MISSING else str(value)[:9]
            at_once = i == len(LIMITS) - 1 or (i + j) % 4 == 0
            yield pytest.param(name, value, id=f"{name}-{called}", marks=[] if at_once else pytest.mark.soak)


@pytest.mark.parametrize(("name", "value"), list(_senseless()))
@pytest.mark.fault("P10")
def test_limits_that_make_no_sense(sqlite_rig: Rig, name: str, value: Any) -> None:
    """Missing or negative limits, or of another type: the run succeeds without waiting."""
    limits = {"day_limit": 5000, "day_remaining": 900, "day_reset": 60, "minute_limit": 90, "minute_remaining": 60}
    limits |= {"minute_reset": 9, name: value}
    if value is MISSING:
        del limits[name]
    sqlite_rig.api.faults.add(Limits(value if name == "limits" else limits), times=None, method=None)
    assert sqlite_rig.sync().exit_code == 0
    assert sqlite_rig.clock.slept == []
    equals_truth(sqlite_rig)


@pytest.mark.parametrize(
    "limits",
    [
        {"minute_remaining": 0, "minute_reset": 0},
        {"minute_remaining": 0},
        {"minute_remaining": 0, "minute_reset": -1},
        {"minute_remaining": 0, "minute_reset": "1"},
        {"day_remaining": 0, "day_reset": 0},
        {"day_limit": 0, "day_remaining": 0, "day_reset": 0},
        {"day_limit": 0, "day_remaining": 0},
    ],
    ids=str,
)
@pytest.mark.fault("P10")
def test_nothing_left_and_no_time_to_wait(sqlite_rig: Rig, limits: dict[str, Any]) -> None:
    """No points left, and no time until the reset: at least a second between requests, and the source decides."""
    sqlite_rig.api.faults.add(Limits(limits), times=None, method=None)
    assert sqlite_rig.sync().exit_code == 0
    assert all(seconds >= 1 for seconds in sqlite_rig.clock.slept)
    assert len(sqlite_rig.clock.slept) <= sqlite_rig.api.count(LISTING) + 3
    equals_truth(sqlite_rig)


@pytest.mark.parametrize("points", [1, 4, 7])
@pytest.mark.fault("P11")
def test_fewer_points_than_pages(warehouse: Engine, points: int) -> None:
    """An account that cannot be listed completely today is refused before a point is spent on it: exit 75."""
    rig = synced(warehouse)
    before = tables(rig)
    rig.api.limits = ApiLimits(lambda: rig.clock.time.timestamp(), None, 1 + points)
    code, said = how_it_ends(lambda: rig.sync(**SMALL))
    assert (code, rig.api.count(LISTING)) == (75, 0)
    assert f"8 more API points, and only {points} {'is' if points == 1 else 'are'} left" in said
    assert tables(rig) == before
    rig.api.limits = ApiLimits(lambda: rig.clock.time.timestamp())
    recovers(rig)


@pytest.mark.fault("P11")
def test_a_first_load_is_refused_as_soon_as_its_size_is_known(warehouse: Engine) -> None:
    """The size of a new account is known after its first answer: one point is spent, not the day's."""
    rig = Rig(one_customer(60), warehouse)
    rig.api.limits = ApiLimits(lambda: rig.clock.time.timestamp(), None, 6)
    code, _ = how_it_ends(lambda: rig.sync(**SMALL))
    assert (code, rig.api.count(LISTING)) == (75, 1)
    assert rig.rows("select count(*) from virtual_numbers") == [(0,)]


@pytest.mark.fault("P11")
def test_a_smaller_account_still_fits(warehouse: Engine) -> None:
    """Points that do not suffice for a large customer are left for the small ones: exit 3."""
    plans = [CustomerPlan(numbers=60), CustomerPlan(numbers=5), CustomerPlan(numbers=6)]
    rig = Rig(World(seed=6, customers=plans), warehouse)
    assert rig.sync(**SMALL).exit_code == 0
    rig.api.limits = ApiLimits(lambda: rig.clock.time.timestamp(), None, 6)
    result = rig.sync(**SMALL)
    assert [a.status for a in result.accounts] == [AccountStatus.FAILED] + [AccountStatus.SUCCEEDED] * 2
    assert (result.exit_code, result.accounts[0].exit_code) == (3, 75)


@pytest.mark.parametrize("kind", ["day", "unavailable"])
@pytest.mark.fault("P09")
def test_when_only_the_proof_fails(warehouse: Engine, kind: str) -> None:
    """The complete listing is published; numbers not proven gone stay open and are reported: exit 3."""
    rig = synced(warehouse)
    gone = open_ids(rig) - set(rig.world.numbers(rig.only))
    fault = error("limit_exceeded", params={"limit_type": "day"}) if kind == "day" else error("internal_error")
    rig.api.faults.add(fault, times=None, when=is_proof)
    result = rig.sync(**SMALL)
    assert (result.exit_code, result.accounts[0].suspects) == (3, 2)
    listed = open_ids(rig)
    assert listed == set(rig.world.numbers(rig.only)) | gone
    assert any(isinstance(event, Notice) and "stay open" in event.message for event in rig.events)
    recovers(rig)
