"""P12: a false total_items. Rows count, requests are bounded, and nothing is lost or closed because of it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.sandbox.faults import (
    LISTING,
    MISSING,
    TotalItems,
)
from tests.support import oracle
from tests.support.protocol_case import (
    SMALL,
    equals_truth,
    is_listing,
    no_number_closed,
    nothing_falsely_closed,
    open_ids,
    recovers,
    synced,
)
from tests.support.rig import Rig
from tests.support.source_case import how_it_ends, one_customer

RESPONSE_FAULTS: dict[str, tuple[Any, int]] = {
    "one_more": (lambda total: total + 1, 3),
    "one_less": (lambda total: max(0, total - 1), 0),
    "zero": (0, 0),
    "three_times": (lambda total: total * 3 + 30, 65),
    "thousand_pages": (10**4, 65),
    "million": (10**6, 65),
    "trillion": (10**12, 65),
    "beyond_64_bits": (10**30, 65),
    "negative": (-1, 65),
    "text": ("60", 65),
    "float": (60.0, 65),
    "true": (True, 65),
    "null": (None, 65),
    "missing": (MISSING, 65),
    "list": ([60], 65),
}


@pytest.mark.parametrize("lie", RESPONSE_FAULTS, ids=[f"p12-{name}" for name in RESPONSE_FAULTS])
@pytest.mark.fault("P12")
def test_for_good(warehouse: Engine, lie: str) -> None:
    """A total that is always false: rows are taken as far as they prove it, or refused, in at most 300 requests."""
    total, exit_code = RESPONSE_FAULTS[lie]
    rig = synced(warehouse)
    before = oracle.current(warehouse, rig.only)
    rig.api.faults.add(TotalItems(total), times=None, when=is_listing)
    code, _ = how_it_ends(lambda: rig.sync(**SMALL))
    assert code == exit_code
    assert rig.api.count(LISTING) <= 300
    if exit_code == 65:
        assert oracle.current(warehouse, rig.only) == before
    elif exit_code == 3:
        no_number_closed(rig)
    else:
        equals_truth(rig)
    recovers(rig)


@pytest.mark.parametrize("lie", RESPONSE_FAULTS, ids=[f"p12-{name}" for name in RESPONSE_FAULTS])
@pytest.mark.fault("P12")
def test_once(warehouse: Engine, lie: str) -> None:
    """A total that is false once: requested again, without further effect."""
    rig = synced(warehouse)
    rig.api.faults.add(TotalItems(RESPONSE_FAULTS[lie][0]), at=3, when=is_listing)
    result = rig.sync(**SMALL)
    assert (result.exit_code, result.accounts[0].unaccounted, result.accounts[0].suspects) == (0, 0, 0)
    equals_truth(rig)


@pytest.mark.fault("P12")
def test_one_less_than_announced_for_good(warehouse: Engine) -> None:
    """As observed at the vendor, N-1 of N rows on every request: published, with the difference on record.

    Each window lacks a number, so the two missing ones stay suspects: one of them may be the one that is lacking.
    """
    rig = synced(warehouse)
    hidden = rig.world.add(rig.only, 1)[0]
    rig.api.faults.add(TotalItems(lambda total: total + 1), times=None, when=is_listing)
    account = rig.sync(**SMALL).accounts[0]
    assert account.unaccounted >= 1
    assert account.reported_total == (account.listed_numbers or 0) + account.unaccounted
    assert hidden in open_ids(rig)
    assert account.suspects == 2
    recovers(rig)


@pytest.mark.parametrize("first_load", [True, False])
@pytest.mark.fault("P12")
def test_a_count_that_is_capped(warehouse: Engine, first_load: bool) -> None:
    """A source that counts at most a full page: a full answer is never taken for the last."""
    rig = Rig(one_customer(60), warehouse) if first_load else synced(warehouse)
    rig.api.faults.add(TotalItems(lambda total: min(total, 10)), times=None)
    assert rig.sync(**SMALL).exit_code == 0
    equals_truth(rig)


@pytest.mark.fault("P12")
def test_a_total_that_changes_each_time(warehouse: Engine) -> None:
    """Random totals: the run always ends, and nothing is falsely closed or lost."""
    dice = random.Random(3)
    rig = synced(warehouse)
    for _ in range(5):
        rig.api.requests.clear()
        rig.api.faults.add(TotalItems(lambda total: dice.randrange(max(1, total * 2))), times=None)
        how_it_ends(lambda: rig.sync(**SMALL))
        assert rig.api.count(LISTING) <= 300
        nothing_falsely_closed(rig)
        rig.api.faults.clear()
    recovers(rig)
