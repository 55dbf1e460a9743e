"""P20, P23: an agent's customers that are partly missing, all missing, or in each other's listing."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from etl.domain.events import Notice
from etl.domain.runs import AccountStatus
from etl.errors import VnsyncError
from etl.sandbox.faults import (
    MISSING,
    Drop,
    Foreign,
    IgnoreOffset,
    NoRows,
    TotalItems,
)
from tests.support import oracle
from tests.support.protocol_case import agency, equals_truth, no_number_closed, recovers, tables
from tests.support.rig import Rig
from tests.support.source_case import how_it_ends


def _vanish(rig: Rig) -> int:
    gone = rig.world.customer_ids[0]
    rig.world.remove_customer(gone)
    return gone


@pytest.mark.fault("P20")
def test_a_customer_that_is_removed(warehouse: Engine) -> None:
    """A customer missing from the agent's list keeps its rows, and is reported as unreachable."""
    rig = agency(warehouse)
    before = tables(rig)
    gone = _vanish(rig)
    result = rig.sync()
    assert oracle.current(warehouse, gone) == before[gone] == oracle.open_versions(warehouse, gone)
    assert [a.status for a in result.accounts] == [AccountStatus.SUCCEEDED] * 4 + [AccountStatus.UNREACHABLE]
    assert result.accounts[-1].account_id == gone
    equals_truth(rig)


@pytest.mark.fault("P20")
def test_a_customer_that_is_removed_is_exit_3(warehouse: Engine) -> None:
    """An account of the warehouse that the run could not reach: exit 3."""
    rig = agency(warehouse)
    _vanish(rig)
    assert rig.sync().exit_code == 3


SHRUNKEN = [NoRows(), Drop(3), Drop(99), TotalItems(2), TotalItems(MISSING)]


@pytest.mark.parametrize(
    "methods", [["get.customers"], ["get.customer_users"], ["get.customers", "get.customer_users"]]
)
@pytest.mark.parametrize("fault", SHRUNKEN, ids=["none", "three_less", "empty", "total_less", "no_total"])
@pytest.mark.fault("P20")
def test_lists_that_shrink(warehouse: Engine, fault: Any, methods: list[str]) -> None:
    """Lists of customers and users that are incomplete or empty close no number."""
    rig = agency(warehouse, 4)
    before = {account: set(each["virtual_numbers"]) for account, each in tables(rig).items()}
    ids = {account: {row[0] for row in rows} for account, rows in before.items()}
    for method in methods:
        rig.api.faults.add(fault, times=None, method=method)
    how_it_ends(rig.sync)
    assert {a: {row[0] for row in t["virtual_numbers"]} for a, t in tables(rig).items()} == ids
    no_number_closed(rig)
    recovers(rig)


@pytest.mark.fault("P20")
def test_a_partial_list_is_told(warehouse: Engine) -> None:
    """A list that always announces more customers than it sends is named."""
    rig = agency(warehouse)
    rig.api.faults.add(Drop(1), times=None, method="get.customers")
    rig.sync()
    told = [e.message for e in rig.events if isinstance(e, Notice)]
    assert any("get.customers announces 5 rows and sends 4" in message for message in told)


@pytest.mark.parametrize("method", ["get.customers", "get.customer_users"])
@pytest.mark.parametrize("total", [10**5, 10**9, 10**18, -1, "5", 5.0, True, None], ids=str)
@pytest.mark.fault("P12", "P14")
def test_lists_that_lie_about_their_length(sqlite_warehouse: Engine, method: str, total: Any) -> None:
    """A list with an impossible total, from a source that repeats its first page: few requests, nothing closed.

    Without the list of users no customer can be listed; the list of customers only gives names and states.
    """
    rig = agency(sqlite_warehouse, 2)
    before = {a: {row[0] for row in t["virtual_numbers"]} for a, t in tables(rig).items()}
    rig.api.faults.add(TotalItems(total), times=None, method=method)
    rig.api.faults.add(IgnoreOffset(), times=None, method=method)
    code, _ = how_it_ends(rig.sync)
    impossible = isinstance(total, int) and total >= 10**5
    assert code == (65 if impossible and method == "get.customer_users" else 0)
    assert rig.api.count(method) <= 3
    assert {a: {row[0] for row in t["virtual_numbers"]} for a, t in tables(rig).items()} == before
    recovers(rig)


@pytest.mark.fault("P20")
def test_no_account_at_all(sqlite_warehouse: Engine) -> None:
    """An agent without customers: no data changes, and the error says what to check."""
    rig = agency(sqlite_warehouse, 1)
    before = tables(rig)
    for method in ("get.customers", "get.customer_users"):
        rig.api.faults.add(NoRows(), times=None, method=method)
    with pytest.raises(VnsyncError, match="can read no account") as caught:
        rig.sync()
    assert (caught.value.exit_code, bool(caught.value.run_id)) == (65, True)
    assert tables(rig) == before


@pytest.mark.fault("P23")
def test_a_row_of_another_customer(warehouse: Engine) -> None:
    """One record of another customer in an account's listing: nothing of that account is published, exit 70 for it."""
    rig = agency(warehouse, 3)
    first, *others = rig.world.customer_ids
    before = tables(rig)[first]
    users = rig.world.user_ids(first)
    rig.api.faults.add(Foreign(), times=None, when=lambda r: r.params.get("user_id") in users)
    result = rig.sync()
    assert (result.exit_code, result.accounts[0].exit_code) == (3, 70)
    assert "came in this account's listing" in (result.accounts[0].error or "")
    assert tables(rig)[first] == before
    equals_truth(rig, *others)
    recovers(rig)
