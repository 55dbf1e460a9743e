"""D: contradicting, repeated and flapping data: one history, the same every time."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from tests.support.data_case import DataCase

FEW = settings(max_examples=4, deadline=None, database=None)


@pytest.fixture
def case(warehouse: Engine) -> DataCase:
    """One synced account."""
    return DataCase(warehouse)


def _jumbled(record: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The same record with its children in another order, some of them twice."""
    other = copy.deepcopy(record)
    for parent in (other, *other["campaigns"]):
        for name in ("campaigns", "scenarios", "site_blocks"):
            if parent.get(name):
                parent[name] += rng.sample(parent[name], rng.randint(0, len(parent[name])))
                rng.shuffle(parent[name])
    items = list(other.items())
    rng.shuffle(items)
    return dict(items)


@pytest.mark.fault("D13")
def test_order_and_repetition_of_children_make_no_version(case: DataCase) -> None:
    """HY: arrays are sets, at every level, and so are the fields of an object."""

    @given(st.randoms(use_true_random=False))
    @FEW
    def check(rng: random.Random) -> None:
        for number_id, record in case.records.items():
            case.send_raw(number_id, json.dumps(_jumbled(record, rng)).encode())
        result = case.ends(0)
        assert (result.rows_opened, result.rows_closed, result.conflicts) == (0, 0, 0)

    check()
    case.is_true()


CAMPAIGN = {"campaign_id": 1, "campaign_name": "c", "site_id": 2, "site_domain_name": "d", "site_blocks": []}


@pytest.mark.fault("D14")
def test_of_contradicting_names_the_same_wins_whatever_the_order(case: DataCase) -> None:
    """HY: one campaign id with several names and sites in one listing: counted, reported, no flapping."""

    @given(st.permutations(["Б", "a", "b", "", "a"]), st.permutations([7, 8, 9, 7, 8]))
    @settings(FEW, max_examples=5)
    def check(names: list[str], order: list[int]) -> None:
        for number_id, name in zip(case.numbers, names, strict=False):
            case.send(number_id, campaigns=[CAMPAIGN | {"campaign_name": name}])
        for number_id in order:  # the heap's order, in which records are sent
            case.rig.world.edit(case.account, case.numbers[number_id - 7], status="active")
        result = case.ends(0)
        assert result.conflicts == 1
        assert case.rows("select campaign_name from campaigns where campaign_id = 1") == [("",)]

    check()
    versions = case.rows("select campaign_name from campaigns_history where campaign_id = 1")
    assert versions == [("",)]
    case.honest()


@pytest.mark.fault("D14")
def test_a_site_that_only_the_losing_copy_names_is_no_row(case: DataCase) -> None:
    """A campaign on two sites is published on one, and the other site exists only if another row refers to it."""
    case.send(case.numbers[0], campaigns=[CAMPAIGN | {"site_id": 4, "site_domain_name": "four"}])
    case.send(case.numbers[1], campaigns=[CAMPAIGN | {"site_id": 3, "site_domain_name": "three"}])
    assert case.ends(0).conflicts == 1
    assert case.rows("select site_id from campaigns where campaign_id = 1") == [(3,)]
    assert case.rows("select site_id from sites where site_id in (3, 4)") == [(3,)]
    case.is_quiet()
    case.honest()


@pytest.mark.fault("D15")
def test_one_phone_on_two_ids_is_two_numbers_and_reported(case: DataCase) -> None:
    """The history is kept by id, so both stay; the drift names the ids that share the phone number."""
    one, two, three = case.numbers[:3]
    phone = case.records[one]["virtual_phone_number"]
    case.send(two, virtual_phone_number=phone)
    case.send(three, virtual_phone_number=None)
    case.send(case.numbers[4], virtual_phone_number=None)
    case.ends(0)
    case.is_true()
    assert case.drift("repeated_value") == [("$.virtual_phone_number", f"ids {one}, {two}")]
    case.is_quiet()
    assert len(case.drift("repeated_value")) == 1
    case.honest()


@pytest.mark.fault("D15")
def test_an_id_used_for_another_phone_is_a_version_of_that_id(case: DataCase) -> None:
    """A call to the old phone number finds the old version: one id, two adjacent periods."""
    number_id = case.numbers[0]
    old = case.records[number_id]["virtual_phone_number"]
    case.send(number_id, virtual_phone_number="7000")
    case.ends(0)
    assert case.versions(number_id, "virtual_phone_number") == [old, "7000"]
    (change,) = case.rows("select what from changes where entity = 'number' and change = 'changed'")
    what = json.loads(change[0]) if isinstance(change[0], str) else change[0]
    phones = [what[side]["virtual_phone_number"] for side in ("before", "after")]
    assert phones == [old, "7000"]
    case.honest()


@pytest.mark.fault("D19")
def test_every_value_of_a_walk_is_a_version(case: DataCase) -> None:
    """HY: a value that goes A, B, A, stays, or is null: as many versions as changes."""
    number_id = case.numbers[0]
    world = case.rig.world

    @given(st.lists(st.sampled_from(["A", "B", None]), min_size=3, max_size=5))
    @FEW
    def check(walk: list[str | None]) -> None:
        case.send(number_id, comment="start")
        case.ends(0)
        before = len(case.versions(number_id, "comment"))
        last: str | None = "start"
        wanted: list[str | None] = []
        for value in walk:
            case.send(number_id, comment=value)
            case.ends(0)
            if value != last:
                wanted.append(value)
            last = value
        assert case.versions(number_id, "comment")[before:] == wanted

    check()
    world.clear_raw(case.account)
    case.honest()


@pytest.mark.fault("D19")
def test_deleted_and_back_unchanged_is_opened_again(warehouse: Engine) -> None:
    """The identical record after an absence: a second period with the same values, and the gap on record."""
    case = DataCase(warehouse)
    customer = case.rig.world.customer(case.account)
    number_id = case.numbers[0]
    row = customer.row(number_id)
    customer.remove(number_id)
    assert case.ends(0).changes["virtual_numbers"].closed == 1
    customer._insert([number_id])
    customer._rows[number_id] = row
    case.ends(0)
    case.is_true()
    periods = case.rows(
        "select * from virtual_numbers_history where virtual_number_id = :n order by valid_from", n=number_id
    )
    assert len(periods) == 2
    assert str(periods[0].valid_to) < str(periods[1].valid_from)
    same = range(1, list(periods[0]._mapping).index("valid_from"))
    assert [periods[0][i] for i in same] == [periods[1][i] for i in same]
    case.is_quiet()


@pytest.mark.fault("D20")
def test_a_flapping_field_loses_nothing_and_can_be_named(case: DataCase) -> None:
    """A field that changes in every run makes one version each, and `changes` has the field each time."""
    number_id = case.numbers[0]
    for n in range(6):
        case.send(number_id, name=f"flap {n % 2}")
        result = case.ends(0)
        assert (result.rows_opened, result.rows_closed) == (1, 1)
    found = [
        json.loads(row.what) if isinstance(row.what, str) else row.what
        for row in case.rows("select what from changes where entity = 'number' and change = 'changed'")
    ]
    fields = [name for what in found for name in what["after"] if what["after"][name] != what["before"][name]]
    assert fields == ["name"] * 6
    assert case.versions(number_id, "name")[1:] == ["flap 0", "flap 1"] * 3
    case.honest()
