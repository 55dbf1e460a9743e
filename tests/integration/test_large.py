"""One account with more numbers than offsets can reach."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from etl.sandbox.world import CustomerPlan, World
from tests.support.rig import Rig


@pytest.fixture(scope="module")
def large_world() -> World:
    return World(seed=3, customers=[CustomerPlan(numbers=250_000)], role="customer", id_step=7)


@pytest.mark.soak
def test_250_000_numbers_in_one_account(warehouse: Engine, large_world: World) -> None:
    """A quarter of a million numbers are listed completely in a few dozen requests, and none is closed by mistake."""
    rig = Rig(large_world, warehouse)
    first = rig.sync().accounts[0]
    ids = {row[0] for row in rig.rows("select virtual_number_id from virtual_numbers")}
    assert ids == set(large_world.numbers(rig.only))
    assert (first.listed_numbers, first.unaccounted, first.suspects) == (len(ids), 0, 0)
    assert first.requests <= 80  # the ids are not known yet; 25 answers hold them all

    gone, edited = sorted(ids)[1000], sorted(ids)[200_000]
    large_world.remove(rig.only, gone)
    large_world.edit(rig.only, edited, comment="beyond the offsets' wall")
    second = rig.sync().accounts[0]
    assert (second.changes["virtual_numbers"].opened, second.changes["virtual_numbers"].closed) == (1, 2)
    assert second.requests <= 40
    comment = rig.rows("select comment from virtual_numbers where virtual_number_id = :n", n=edited)
    assert comment == [("beyond the offsets' wall",)]
    assert rig.rows("select 1 from virtual_numbers where virtual_number_id = :n", n=gone) == []
