"""The mass-close guard in a whole run, on both databases: held until approved, and no wrong close."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from etl.domain.runs import AccountStatus, RunResult, RunStatus
from etl.sandbox import faults
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.rig import Rig

OPEN = "select count(*) from virtual_numbers"


def _rig(engine: Engine, numbers: int) -> Rig:
    rig = Rig(World(seed=2, customers=[CustomerPlan(numbers=numbers)], role="customer", id_step=9), engine)
    assert rig.sync().exit_code == 0
    return rig


def _remove(rig: Rig, count: int) -> list[int]:
    gone = sorted(rig.world.numbers(rig.only))[:count]
    for number_id in gone:
        rig.world.remove(rig.only, number_id)
    return gone


def _is_held(rig: Rig, result: RunResult) -> None:
    (account,) = result.accounts
    assert (result.status, result.exit_code) == (RunStatus.HELD, 3)
    assert (account.status, account.rows_opened, account.rows_closed) == (AccountStatus.HELD, 0, 0)
    assert f"--approve-close {rig.only}" in str(account.error)
    assert rig.rows("select status, observed_at from account_syncs where run_id = :r", r=result.run_id) == [
        ("held", None)
    ]


def test_a_mass_close_is_held_and_published_once_approved(warehouse: Engine) -> None:
    """51 of 100 removed: nothing is published, exit 3; with the approval all of it is published in one sync."""
    rig = _rig(warehouse, 100)
    before = oracle.current(warehouse, rig.only)
    _remove(rig, 51)
    _is_held(rig, rig.sync())
    _is_held(rig, rig.sync())
    assert oracle.current(warehouse, rig.only) == before
    approved = rig.sync(approve_close=frozenset({rig.only}))
    assert (approved.status, approved.exit_code) == (RunStatus.SUCCEEDED, 0)
    assert approved.accounts[0].changes["virtual_numbers"].closed == 51
    assert not oracle.differences(oracle.current(warehouse, rig.only), oracle.expected(rig.world.truth(rig.only)))
    assert oracle.broken_invariants(warehouse) == []


@pytest.mark.parametrize(("numbers", "gone", "share"), [(100, 50, 0.5), (30, 20, 0.1), (100, 100 - 1, 0.99)])
def test_what_is_within_the_share_closes_unasked(warehouse: Engine, numbers: int, gone: int, share: float) -> None:
    """Numbers up to the share, and up to twenty for any share, close without approval."""
    rig = _rig(warehouse, numbers)
    _remove(rig, gone)
    result = rig.sync(max_close_share=share)
    assert (result.exit_code, result.accounts[0].changes["virtual_numbers"].closed) == (0, gone)


def test_an_approval_of_another_account_does_not_count(warehouse: Engine) -> None:
    """An approval is valid for the account that it names."""
    rig = _rig(warehouse, 100)
    _remove(rig, 80)
    result = rig.sync(approve_close=frozenset({rig.only + 1}))
    assert result.status is RunStatus.HELD
    _is_held(rig, result)


@pytest.mark.fault("P19")
def test_an_empty_listing_closes_nothing(warehouse: Engine) -> None:
    """P19: 0 rows instead of N: held for any N; the next clean run opens and closes no version."""
    rig = _rig(warehouse, 15)
    rig.api.faults.add(faults.NoRows(), times=None)
    _is_held(rig, rig.sync())
    rig.api.faults.clear()
    again = rig.sync()
    assert (again.exit_code, again.accounts[0].rows_opened, again.accounts[0].rows_closed) == (0, 0, 0)
    assert rig.rows(OPEN) == [(15,)]


@pytest.mark.fault("P19")
def test_an_empty_listing_with_an_approval_closes_only_what_is_proven(warehouse: Engine) -> None:
    """The listing is empty, but the numbers come when requested by id, so the approval closes none of them."""
    rig = _rig(warehouse, 15)
    rig.api.faults.add(faults.NoRows(), when=lambda request: "filter" not in request.params)
    rig.sync(approve_close=frozenset({rig.only}))
    assert rig.rows(OPEN) == [(15,)]


def test_an_emptied_account_closes_once_approved(warehouse: Engine) -> None:
    """All numbers are removed: held first; with the approval every version ends, also those of shared entities."""
    rig = _rig(warehouse, 15)
    _remove(rig, 15)
    _is_held(rig, rig.sync())
    assert rig.sync(approve_close=frozenset({rig.only})).exit_code == 0
    assert oracle.current(warehouse, rig.only) == {name: set() for name in oracle.COLUMNS}
    assert oracle.broken_invariants(warehouse) == []
    assert rig.sync().exit_code == 0


def test_a_held_account_stays_listed_for_the_next_day(warehouse: Engine) -> None:
    """When the numbers are listed again, the guard holds nothing, and no version was written."""
    rig = _rig(warehouse, 100)
    versions = rig.rows("select count(*) from virtual_numbers_history")
    rig.api.faults.add(faults.DropIds(frozenset(rig.world.numbers(rig.only)[:60])), times=None)
    rig.sync()
    rig.api.faults.clear()
    assert rig.sync().exit_code == 0
    assert rig.rows("select count(*) from virtual_numbers_history") == versions
