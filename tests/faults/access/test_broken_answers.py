"""A17: an answer that breaks the contract is requested again once; the second answer is accepted."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from etl.extract.retry import TRIES
from etl.sandbox.faults import reshape
from tests.faults.protocol.test_shapes import SHAPES
from tests.support.protocol_case import ends, equals_truth, recovers, synced

BROKEN = ("neither", "both", "result_null", "data_null", "data_object", "data_text")


@pytest.mark.parametrize("shape", BROKEN)
@pytest.mark.fault("A17")
def test_one_broken_answer_is_asked_again(warehouse: Engine, shape: str) -> None:
    """A single broken answer costs one more request; the run succeeds and equals the world."""
    rig = synced(warehouse, 12)
    rig.api.faults.add(reshape(**SHAPES[shape]), times=1)
    result = rig.sync()
    assert (result.exit_code, result.accounts[0].retries) == (0, 1)
    equals_truth(rig)


@pytest.mark.parametrize("shape", BROKEN)
@pytest.mark.fault("A17")
def test_two_broken_answers_are_the_sources_word(warehouse: Engine, shape: str) -> None:
    """The second broken answer in a row ends the account with 65 after two requests, without further retries."""
    rig = synced(warehouse, 12)
    rig.api.faults.add(reshape(**SHAPES[shape]), times=None)
    before = len(rig.api.requests)
    ends(rig, 65)
    listings = [r for r in rig.api.requests[before:] if r[0] == "get.virtual_numbers"]
    assert len(listings) == 2 < TRIES
    recovers(rig)


@pytest.mark.parametrize("shape", ["data_null", "data_object", "data_text"])
@pytest.mark.fault("A17")
def test_a_broken_answer_that_names_the_last_point_is_not_asked_again(warehouse: Engine, shape: str) -> None:
    """The limits of the unusable answer count: exit 75 until the day's points are renewed, without a retry."""
    rig = synced(warehouse, 12)
    limits = {"day_limit": 100, "day_remaining": 0, "day_reset": 3600}
    broken = {"data": SHAPES[shape]["result"]["data"], "metadata": {"total_items": 0, "limits": limits}}
    rig.api.faults.add(reshape(result=broken), times=1)
    before = len(rig.api.requests)
    ends(rig, 75)
    assert [name for name, *_ in rig.api.requests[before:]].count("get.virtual_numbers") == 1
    recovers(rig)
