"""An agent's customers in one run, on both databases: each is published whole or not at all, independently."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from etl.domain.events import Notice
from etl.domain.runs import AccountStatus, RunResult, RunStatus
from etl.sandbox import faults
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.rig import Rig


def _rig(engine: Engine, *numbers: int, users: int = 1) -> Rig:
    return Rig(World(seed=4, customers=[CustomerPlan(numbers=n, users=users) for n in numbers], id_step=5), engine)


def _wrong(rig: Rig) -> dict[int, object]:
    """Customers whose current tables are not the source's truth."""
    found = {
        c: oracle.differences(oracle.current(rig.engine, c), oracle.expected(rig.world.truth(c)))
        for c in rig.world.customer_ids
    }
    return {c: difference for c, difference in found.items() if difference}


def _exit_codes(result: RunResult) -> list[int]:
    return [account.exit_code for account in result.accounts]


def test_seven_customers_are_exact_day_after_day(warehouse: Engine) -> None:
    """Customers of 0 to 200 numbers: every one equals its truth, and no row is in another's account."""
    rig = _rig(warehouse, 200, 1, 0, 30, 60, 10, 90)
    for _ in range(3):
        result = rig.sync()
        assert (result.status, result.exit_code) == (RunStatus.SUCCEEDED, 0)
        assert [a.account_id for a in result.accounts] == rig.world.customer_ids
        assert _wrong(rig) == {}
        rig.world.pass_day(share=0.1)
    total = rig.rows("select count(*) from virtual_numbers")[0][0]
    assert total == sum(a.listed_numbers or 0 for a in result.accounts)
    assert oracle.broken_invariants(warehouse) == []


@pytest.mark.parametrize(
    ("mnemonic", "code"),
    [("ip_not_whitelisted", 77), ("forbidden", 77), ("account_inactive", 3), ("method_component_disabled", 77)],
)
@pytest.mark.fault("P07")
def test_one_customer_out_of_reach_does_not_stop_the_others(warehouse: Engine, mnemonic: str, code: int) -> None:
    """P07: exit 3, status partial; the customer's rows do not change, and the next clean run catches up."""
    rig = _rig(warehouse, 20, 20, 20)
    rig.sync()
    second = rig.world.customer_ids[1]
    before = oracle.current(warehouse, second)
    rig.world.pass_day(share=0.3)
    rig.world.block(second, mnemonic)
    result = rig.sync()
    assert (result.status, result.exit_code, _exit_codes(result)) == (RunStatus.PARTIAL, 3, [0, code, 0])
    assert mnemonic in str(result.error)
    assert str(second) in str(result.error)
    assert set(_wrong(rig)) == {second}
    assert oracle.current(warehouse, second) == before
    rows = rig.rows("select status, exit_code from sync_runs order by run_id desc limit 1")
    assert rows == [("partial", 3)]
    rig.world.unblock(second)
    assert rig.sync().exit_code == 0
    assert _wrong(rig) == {}


@pytest.mark.parametrize(
    ("mnemonic", "exit_code"), [("ip_not_whitelisted", 77), ("forbidden", 77), ("required_parameter_missed", 65)]
)
def test_all_customers_failing_alike_is_that_failure(warehouse: Engine, mnemonic: str, exit_code: int) -> None:
    """Nothing is published, so the exit code is that of the common cause, not 3."""
    rig = _rig(warehouse, 5, 5)
    rig.api.faults.add(faults.error(mnemonic), times=None)
    result = rig.sync()
    assert (result.status, result.exit_code) == (RunStatus.FAILED, exit_code)
    assert rig.rows("select count(*) from virtual_numbers") == [(0,)]


@pytest.mark.fault("P20")
def test_a_customer_that_vanished_closes_nothing(warehouse: Engine) -> None:
    """P20: a customer missing from the roster keeps its numbers open, and the operator is notified."""
    rig = _rig(warehouse, 20, 20)
    rig.sync()
    vanished = rig.world.customer_ids[0]
    before = oracle.current(warehouse, vanished)
    rig.world.remove_customer(vanished)
    result = rig.sync()
    assert [a.account_id for a in result.accounts] == [*rig.world.customer_ids, vanished]
    assert oracle.current(warehouse, vanished) == before
    assert rig.rows("select count(*) from virtual_numbers_closed") == [(0,)]
    assert (result.exit_code, result.accounts[-1].status) == (3, AccountStatus.UNREACHABLE)
    assert "can no longer read it" in str(result.accounts[-1].error)


@pytest.mark.fault("P20")
def test_a_customer_that_vanished_fails_one_run_only(warehouse: Engine) -> None:
    """Only the first run without the customer exits with 3; later ones report a notice, so that failures stay rare."""
    rig = _rig(warehouse, 20, 20)
    rig.sync()
    vanished = rig.world.customer_ids[0]
    rig.world.remove_customer(vanished)
    assert [rig.sync().exit_code for _ in range(3)] == [3, 0, 0]
    assert [e.account_id for e in rig.events if isinstance(e, Notice)] == [vanished] * 2


@pytest.mark.fault("P20")
def test_accounts_of_another_token_are_not_missed(warehouse: Engine) -> None:
    """Two tokens feed one warehouse in turn: neither run fails because of the other's accounts."""
    one, other = _rig(warehouse, 20, 10), _rig(warehouse, 20, 10)
    first, second = one.world.customer_ids
    one.world.remove_customer(second)
    other.world.remove_customer(first)
    for _ in range(2):
        assert [one.sync().exit_code, other.sync().exit_code] == [0, 0]
        other.clock.pass_time(86_400)
        one.clock.pass_time(86_400)


@pytest.mark.fault("P20")
def test_a_run_for_one_account_does_not_miss_the_others(warehouse: Engine) -> None:
    """`--account`: only that account is listed and published, and no other is reported as unreachable."""
    rig = _rig(warehouse, 20, 20)
    rig.sync()
    first, second = rig.world.customer_ids
    rig.world.pass_day(share=0.5)
    result = rig.sync(accounts=frozenset({second}))
    assert [a.account_id for a in result.accounts] == [second]
    assert set(_wrong(rig)) == {first}
    assert not any(isinstance(e, Notice) for e in rig.events)


def test_another_user_with_fewer_rights_closes_nothing(warehouse: Engine) -> None:
    """The next user sees fewer numbers than the previous one: the missing numbers are suspects, not gone."""
    rig = _rig(warehouse, 40, users=2)
    (customer,) = rig.world.customer_ids
    rig.sync()
    first, second = rig.world.user_ids(customer)
    hidden = sorted(rig.world.numbers(customer))[:7]
    rig.world.hide(second, hidden)
    rig.world.customer(customer).user_ids.remove(first)
    for _ in range(2):
        result = rig.sync()
        assert (result.status, result.exit_code, result.accounts[0].suspects) == (RunStatus.PARTIAL, 3, 7)
        assert rig.rows("select count(*) from virtual_numbers") == [(40,)]
    assert rig.sync(approve_close=frozenset({customer})).accounts[0].changes["virtual_numbers"].closed == 7
    assert rig.sync().exit_code == 0


def test_another_user_who_sees_all_is_trusted_from_then_on(warehouse: Engine) -> None:
    """A new user who misses no number replaces the old one, and absence in its listings proves removal again."""
    rig = _rig(warehouse, 40, users=2)
    (customer,) = rig.world.customer_ids
    rig.sync()
    rig.world.customer(customer).user_ids.pop(0)
    assert rig.sync().exit_code == 0
    rig.world.remove(customer, rig.world.numbers(customer)[0])
    result = rig.sync()
    assert (result.exit_code, result.accounts[0].changes["virtual_numbers"].closed) == (0, 1)


def test_the_same_user_lists_as_long_as_it_is_there(warehouse: Engine) -> None:
    """A user with a lower id appears: the account is still listed through the previous user."""
    rig = _rig(warehouse, 10, users=2)
    (customer,) = rig.world.customer_ids
    first, second = rig.world.user_ids(customer)
    rig.world.customer(customer).user_ids = [second]
    rig.sync()
    rig.world.customer(customer).user_ids = [first, second]
    rig.world.hide(first, rig.world.numbers(customer))
    assert rig.sync().exit_code == 0
    assert rig.rows("select listed_by_user_id from accounts") == [(second,)]


def test_a_customers_own_token_first_and_its_agents_later_closes_nothing(warehouse: Engine) -> None:
    """An account listed with its own token, then through an agent's user with fewer rights: suspects, none closed."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=40)], role="customer", id_step=5), warehouse)
    rig.sync()
    rig.world.role = "agent"
    rig.world.hide(rig.world.user_ids(rig.only)[0], sorted(rig.world.numbers(rig.only))[:7])
    result = rig.sync()
    assert rig.rows("select count(*) from virtual_numbers") == [(40,)]
    assert (result.exit_code, result.accounts[0].suspects) == (3, 7)


@pytest.mark.fault("P23")
def test_a_row_of_another_customer_stops_its_account(warehouse: Engine) -> None:
    """P23: rows of two customers are never mixed: exit 70 for that account, and the other is published."""
    rig = _rig(warehouse, 10, 10)
    rig.api.faults.add(faults.Foreign())
    result = rig.sync()
    assert (result.exit_code, _exit_codes(result)) == (3, [70, 0])
    assert result.accounts[0].status is AccountStatus.FAILED
    first, second = rig.world.customer_ids
    assert set(_wrong(rig)) == {first}
    assert rig.rows("select distinct account_id from virtual_numbers") == [(second,)]


@pytest.mark.fault("P09")
def test_a_day_limit_stops_and_keeps_what_is_published(warehouse: Engine) -> None:
    """P09: the points suffice for one customer of three: that one is published, the others are not tried, exit 75."""
    rig = _rig(warehouse, 10, 10, 10)
    rig.api.limits = type(rig.api.limits)(lambda: rig.clock.time.timestamp(), None, 3)
    result = rig.sync()
    assert (result.status, result.exit_code, _exit_codes(result)) == (RunStatus.PARTIAL, 75, [0, 75, 75])
    assert len(rig.rows("select distinct account_id from virtual_numbers")) == 1
    rig.api.limits = type(rig.api.limits)(lambda: rig.clock.time.timestamp())
    assert rig.sync().exit_code == 0
    assert _wrong(rig) == {}
