"""P13-P18: empty, short, repeated, contradicting and shifting pages, and more rows than offsets can reach."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.errors import SourceUnusable
from etl.extract.listing import Listing
from etl.sandbox.api import Api
from etl.sandbox.faults import (
    LISTING,
    Drop,
    Duplicate,
    EmptyPage,
    Fault,
    IgnoreFilter,
    IgnoreOffset,
)
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.calling import connected
from tests.support.protocol_case import (
    SMALL,
    equals_truth,
    is_listing,
    nothing_falsely_closed,
    open_ids,
    recovers,
    synced,
)
from tests.support.raw_server import serving
from tests.support.rig import Rig
from tests.support.secrets import CANARY
from tests.support.source_case import how_it_ends, one_customer


@pytest.mark.parametrize("page", [1, 3, 5])
@pytest.mark.parametrize("fault", [EmptyPage(), Drop(1), Drop(5)], ids=["p13-empty", "p13-short", "p13-half"])
@pytest.mark.fault("P13")
def test_once(warehouse: Engine, fault: Fault, page: int) -> None:
    """An empty or short page is not the end: it is requested again, and all numbers come."""
    rig = synced(warehouse)
    rig.api.faults.add(fault, at=page)
    result = rig.sync(**SMALL)
    assert (result.exit_code, result.accounts[0].unaccounted) == (0, 0)
    equals_truth(rig)


@pytest.mark.parametrize("first_load", [True, False])
@pytest.mark.parametrize("fault", [EmptyPage(), Drop(9)], ids=["p13-empty", "p13-short"])
@pytest.mark.fault("P13")
def test_for_good(warehouse: Engine, fault: Fault, first_load: bool) -> None:
    """Pages that never hold the announced count are no listing: exit 65, and nothing is published."""
    rig = Rig(one_customer(60), warehouse) if first_load else synced(warehouse)
    before = oracle.current(warehouse, rig.only)
    rig.api.faults.add(fault, times=None)
    assert how_it_ends(lambda: rig.sync(**SMALL))[0] == 65
    assert oracle.current(warehouse, rig.only) == before
    recovers(rig)


@pytest.mark.fault("P14")
def test_the_filter_is_ignored(warehouse: Engine) -> None:
    """Rows outside the requested ids: requested again, then exit 65; none of them is used."""
    rig = synced(warehouse)
    before = oracle.current(warehouse, rig.only)
    rig.api.faults.add(IgnoreFilter(), times=None)
    code, said = how_it_ends(lambda: rig.sync(**SMALL))
    assert (code, "ignores the filter" in said) == (65, True)
    assert rig.api.count(LISTING) <= 3
    assert oracle.current(warehouse, rig.only) == before
    recovers(rig)


@pytest.mark.parametrize("first_load", [True, False])
@pytest.mark.fault("P14")
def test_the_offset_is_ignored(warehouse: Engine, first_load: bool) -> None:
    """The listing uses offsets and the first page comes again: exit 65 after a few requests."""
    rig = Rig(one_customer(60), warehouse) if first_load else synced(warehouse)
    before = oracle.current(warehouse, rig.only)
    rig.api.id_filter = False
    rig.api.faults.add(IgnoreOffset(), times=None)
    code, said = how_it_ends(lambda: rig.sync(**SMALL))
    assert (code, "the offset is ignored" in said) == (65, True)
    assert rig.api.count(LISTING) <= 4
    assert oracle.current(warehouse, rig.only) == before


# -- P15, P16


@pytest.mark.fault("P15")
def test_the_same_row_twice(warehouse: Engine) -> None:
    """The same number twice with the same content is one number, counted as a duplicate."""
    rig = synced(warehouse)
    rig.api.faults.add(Duplicate(), times=None, when=is_listing)
    result = rig.sync(page_limit=20)
    assert (result.exit_code, result.accounts[0].conflicts) == (0, 0)
    assert result.accounts[0].duplicates >= 3
    equals_truth(rig)


@pytest.mark.fault("P16")
def test_the_same_number_with_two_contents(warehouse: Engine) -> None:
    """Of two contents the same one is taken in any order and every time, and a conflict is counted."""
    comments: list[Any] = []
    rig = synced(warehouse, 8, 0)
    rig.api.faults.add(Duplicate({"comment": "Ж contradicts"}), times=None)
    for _ in range(3):
        result = rig.sync()
        assert (result.exit_code, result.accounts[0].conflicts) == (0, 1)
        comments.append(rig.rows("select comment from virtual_numbers order by virtual_number_id"))
        rig.world.customer(rig.only)._rows = dict(reversed(rig.world.customer(rig.only)._rows.items()))
    assert comments[0] == comments[2]
    assert rig.sync().accounts[0].rows_opened == 0 or comments[0] != comments[1]
    recovers(rig)


# -- P17


@pytest.mark.parametrize("filtered", [True, False], ids=["p17-windows", "p17-offsets"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.fault("P17")
def test_rows_shift_between_pages(warehouse: Engine, seed: int, filtered: bool) -> None:
    """Rows move, are added and removed at every request: no number that stays is lost or closed."""
    dice = random.Random(seed)
    rig = synced(warehouse)
    rig.api.id_filter = filtered
    steady = set(rig.world.numbers(rig.only))
    removed: set[int] = set()

    def disturb(_request: object) -> None:
        numbers = rig.world.numbers(rig.only)
        for number in dice.sample(numbers, 5):
            rig.world.edit(rig.only, number, comment=f"{dice.random()}")
        rig.world.add(rig.only, dice.randrange(2))
        gone = dice.choice(numbers)
        rig.world.remove(rig.only, gone)
        removed.add(gone)

    rig.api.after_request.append(disturb)
    result = rig.sync(page_limit=10)
    rig.api.after_request.clear()
    assert result.exit_code in (0, 3)
    assert steady - removed <= open_ids(rig) or result.accounts[0].unaccounted
    nothing_falsely_closed(rig)
    assert rig.sync(page_limit=100).exit_code == 0
    equals_truth(rig)


# -- P18


@pytest.fixture(scope="module")
def large() -> World:
    """150 000 numbers: more than offsets can reach."""
    return World(seed=3, customers=[CustomerPlan(numbers=150_000)], role="customer", id_step=7)


@pytest.mark.soak
@pytest.mark.fault("P18")
def test_beyond_the_offsets(large: World) -> None:
    """With windows every number comes, in few requests; offsets are refused: exit 65."""
    with serving(Api(large, token=CANARY)) as server, connected(server) as caller:
        listing = Listing(caller.api, user_id=None, known=[])
        came = [number for page in listing.pages() for number in page.records]
        assert sorted(came) == sorted(large.numbers(large.customer_ids[0]))
        assert caller.api.requests <= 50
        assert server.api
        server.api.id_filter = False
        with pytest.raises(SourceUnusable, match="cannot be listed by offsets"):
            list(Listing(caller.api, user_id=None, known=came).pages())
