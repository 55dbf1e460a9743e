"""A17: an answer that breaks the contract once is asked for again; the second one is believed."""

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
    """A single broken answer costs one request more; the run ends well and equals the world."""
    rig = synced(warehouse, 12)
    rig.api.faults.add(reshape(**SHAPES[shape]), times=1)
    result = rig.sync()
    assert (result.exit_code, result.accounts[0].retries) == (0, 1)
    equals_truth(rig)


@pytest.mark.parametrize("shape", BROKEN)
@pytest.mark.fault("A17")
def test_two_broken_answers_are_the_sources_word(warehouse: Engine, shape: str) -> None:
    """The second broken answer in a row ends the account with 65 after two requests, not after all retries."""
    rig = synced(warehouse, 12)
    rig.api.faults.add(reshape(**SHAPES[shape]), times=None)
    before = len(rig.api.requests)
    ends(rig, 65)
    listings = [r for r in rig.api.requests[before:] if r[0] == "get.virtual_numbers"]
    assert len(listings) == 2 < TRIES
    recovers(rig)
