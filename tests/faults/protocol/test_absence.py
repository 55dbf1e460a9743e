"""P19 and the proof of absence: no number is closed without a control id, nor many at once without approval."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from etl.domain.runs import AccountResult, Strategy
from etl.sandbox.faults import (
    MISSING,
    Drop,
    EmptyPage,
    Fault,
    IgnoreFilter,
    NoRows,
    TotalItems,
    error,
    http,
)
from tests.support import oracle
from tests.support.protocol_case import (
    SMALL,
    equals_truth,
    is_listing,
    is_proof,
    no_number_closed,
    open_ids,
    recovers,
    synced,
)
from tests.support.rig import Rig
from tests.support.source_case import how_it_ends, one_customer


@pytest.mark.parametrize("numbers", [5, 60])
@pytest.mark.fault("P19")
def test_no_rows_where_there_were(warehouse: Engine, numbers: int) -> None:
    """An account that suddenly has no numbers is held, exit 3, with nothing closed, until an operator approves."""
    rig = Rig(one_customer(numbers), warehouse)
    rig.sync(**SMALL)
    before = oracle.current(warehouse, rig.only)
    rig.api.faults.add(NoRows(), times=None)
    code, said = how_it_ends(lambda: rig.sync(**SMALL))
    assert (code, f"--approve-close {rig.only}" in said) == (3, True)
    assert oracle.current(warehouse, rig.only) == before == oracle.open_versions(warehouse, rig.only)
    recovers(rig)


@pytest.mark.fault("P19")
def test_most_rows_gone(warehouse: Engine) -> None:
    """A drop beyond the allowed share is held even when each number is proven gone; approved, it is published."""
    rig = synced(warehouse, 60, 45)
    before = oracle.current(warehouse, rig.only)
    assert rig.sync(**SMALL).exit_code == 3
    assert oracle.current(warehouse, rig.only) == before
    assert rig.sync(approve_close=frozenset({rig.only}), **SMALL).exit_code == 0
    equals_truth(rig)


@pytest.mark.fault("P19")
def test_no_rows_where_there_were_none(warehouse: Engine) -> None:
    """An account without numbers is complete with none: nothing is held."""
    rig = Rig(one_customer(0), warehouse)
    assert [rig.sync().exit_code, rig.sync().exit_code] == [0, 0]


# -- the proof of absence

BAD_PROOFS: dict[str, Fault] = {
    "no_rows": NoRows(),
    "empty_page": EmptyPage(),
    "witness_dropped": Drop(1),
    "total_too_big": TotalItems(lambda total: total + 1),
    "total_too_small": TotalItems(lambda total: total - 1),
    "total_missing": TotalItems(MISSING),
    "total_text": TotalItems("3"),
    "filter_ignored": IgnoreFilter(),
    "internal_error": error("internal_error"),
    "unknown_error": error("brand_new"),
    "value_refused": error("invalid_parameter_value", "filter.value"),
    "bad_gateway": http(502),
}


@pytest.mark.parametrize("bad", BAD_PROOFS)
def test_proof_that_is_none(warehouse: Engine, bad: str) -> None:
    """A proof that contradicts itself, lacks its control id or fails closes nothing: the numbers are suspects, exit 3.

    The listed numbers are published all the same, and the next clean run closes the missing ones.
    """
    rig = synced(warehouse)
    gone = open_ids(rig) - set(rig.world.numbers(rig.only))
    assert len(gone) == 2
    rig.api.faults.add(BAD_PROOFS[bad], times=None, when=is_proof)
    result = rig.sync(**SMALL)
    account: AccountResult = result.accounts[0]
    assert (result.exit_code, account.suspects) == (3, 2)
    assert open_ids(rig) == set(rig.world.numbers(rig.only)) | gone
    no_number_closed(rig)
    assert oracle.broken_invariants(warehouse) == []
    recovers(rig)


def test_witness_in_every_proof(warehouse: Engine) -> None:
    """Each request for missing numbers contains a number that was just listed."""
    rig = synced(warehouse, 60, 9)
    gone = open_ids(rig) - set(rig.world.numbers(rig.only))
    asked: list[set[int]] = []
    rig.api.before_request.append(
        lambda r: asked.append(set(r["params"]["filter"]["value"])) if "'in'" in str(r["params"]) else None
    )
    assert rig.sync(**SMALL).exit_code == 0
    assert set().union(*asked) >= gone
    assert all(one & set(rig.world.numbers(rig.only)) for one in asked)
    assert all(len(one) <= 10 for one in asked)


def test_listed_numbers_that_a_page_left_out_live(warehouse: Engine) -> None:
    """A number that a page always leaves out, and that comes when requested by id, is alive and is stored."""
    rig = synced(warehouse, 60, 0)
    rig.api.faults.add(Drop(1), times=None, when=is_listing)
    result = rig.sync(**SMALL)
    assert (result.exit_code, result.accounts[0].suspects) == (0, 0)
    assert _nothing_lost(rig)


def _nothing_lost(rig: Rig) -> bool:
    first = set(one_customer(60).numbers(rig.only))
    return first <= open_ids(rig)


def test_whole_answer_as_proof_must_not_be_full(warehouse: Engine) -> None:
    """Where ids cannot be filtered, one answer proves absence; a full one may be cut, and proves nothing."""
    rig = synced(warehouse, 12, 2)  # 12 again, with the two new ones
    rig.api.id_filter = False
    rig.api.faults.add(TotalItems(lambda total: min(total, 12)), times=None)
    result = rig.sync(page_limit=12)
    assert (result.exit_code, result.accounts[0].strategy) == (3, Strategy.OFFSETS)
    assert result.accounts[0].suspects == 2
    rig.api.faults.clear()
    assert rig.sync(page_limit=100).exit_code == 0
    equals_truth(rig)
