"""From numbers to rows of the eight tables."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from etl.domain import tables
from etl.domain.tables import missing_bit
from etl.transform.drift import Drift, DriftKind, DriftLog
from etl.transform.normalize import Normalizer
from etl.transform.records import Campaign, Number, Scenario, SiteBlock


def _number(number_id: int = 1, **fields: Any) -> Number:
    plain = {"virtual_phone_number": "7", "status": "active", "category": "usual", "type": "va"}
    rest = dict.fromkeys(("child_customer_id", "redirection_phone_number", "activation_date", "comment", "name"), None)
    return Number(id=number_id, **{**plain, **rest, "campaigns": [], "scenarios": [], **fields})


def _campaign(campaign_id: int = 10, **fields: Any) -> Campaign:
    usual = {"campaign_name": "c", "site_id": 20, "site_domain_name": "s", "site_blocks": []}
    return Campaign(campaign_id=campaign_id, **{**usual, **fields})


def _block(block_id: int = 30, **fields: Any) -> SiteBlock:
    return SiteBlock(site_block_id=block_id, **{"site_block_name": "b", "is_tracking": True, **fields})


def _scenario(scenario_id: int = 40, **fields: Any) -> Scenario:
    usual = {"scenario_name": "z", "call_processing_rule_id": 50, "is_active": True}
    return Scenario(scenario_id=scenario_id, **{**usual, **fields})


def _rows(*numbers: Number) -> tuple[dict[str, set[Any]], Normalizer]:
    normalizer = Normalizer(DriftLog())
    own = normalizer.rows(numbers)
    everything = {**own, **normalizer.shared_rows()}
    assert all(len(rows) == len(set(rows)) for rows in everything.values())
    return {name: set(rows) for name, rows in everything.items()}, normalizer


def test_a_full_number_makes_rows_in_all_eight_tables() -> None:
    """Every nested thing is one row of its table, and every belonging is one link."""
    number = _number(campaigns=[_campaign(site_blocks=[_block()])], scenarios=[_scenario()])
    rows, normalizer = _rows(number)
    assert rows == {
        "virtual_numbers": {(1, None, "7", None, None, "active", "usual", "va", None, None, None, 0)},
        "campaigns": {(10, "c", 20, None, 0)},
        "sites": {(20, "s", 0)},
        "site_blocks": {(30, "b", 20, None, 0)},
        "scenarios": {(40, "z", 0)},
        "virtual_number_campaigns": {(1, 10)},
        "virtual_number_site_blocks": {(1, 10, 30, True, 0)},
        "virtual_number_scenarios": {(1, 40, 50, True, None, 0)},
    }
    assert (normalizer.conflicts, normalizer.unreported) == (0, False)


def test_what_numbers_share_becomes_one_row() -> None:
    """Two numbers in one campaign: two links, one campaign, one site, one block; over pages too."""
    first, second = (_number(n, campaigns=[_campaign(site_blocks=[_block()])]) for n in (1, 2))
    normalizer = Normalizer(DriftLog())
    pages = [normalizer.rows([first]), normalizer.rows([second])]
    assert [p["virtual_number_campaigns"] for p in pages] == [[(1, 10)], [(2, 10)]]
    assert {name: len(rows) for name, rows in normalizer.shared_rows().items()} == {
        "campaigns": 1, "site_blocks": 1, "sites": 1, "scenarios": 0,
    }  # fmt: skip


@pytest.mark.fault("D13")
def test_duplicate_and_reordered_children_mean_nothing() -> None:
    """D13: arrays are sets."""
    one = _number(campaigns=[_campaign(1), _campaign(2, site_blocks=[_block(3), _block(4)])], scenarios=[_scenario()])
    other = _number(
        campaigns=[_campaign(2, site_blocks=[_block(4), _block(3), _block(4)]), _campaign(1), _campaign(1)],
        scenarios=[_scenario(), _scenario()],
    )
    assert _rows(one)[0] == _rows(other)[0]
    assert _rows(other)[1].conflicts == 0


@pytest.mark.fault("D14")
def test_of_contradicting_copies_the_same_one_wins_in_any_order() -> None:
    """D14: one campaign with two names in one listing: no flapping between runs, and the contradiction is counted."""
    numbers = [
        _number(1, campaigns=[_campaign(campaign_name="b")]),
        _number(2, campaigns=[_campaign(campaign_name="a")]),
    ]
    for order in itertools.permutations(numbers):
        rows, normalizer = _rows(*order)
        assert rows["campaigns"] == {(10, "a", 20, None, 0)}
        assert normalizer.conflicts == 1


@pytest.mark.fault("D14")
def test_the_count_of_contradictions_does_not_depend_on_the_order() -> None:
    """The same listing in another order is the same listing, its figures included."""
    numbers = [_number(n, campaigns=[_campaign(campaign_name=name)]) for n, name in enumerate("abab")]
    assert len({_rows(*order)[1].conflicts for order in itertools.permutations(numbers)}) == 1


def test_a_site_that_only_the_loser_refers_to_is_no_row() -> None:
    """A site exists while some row refers to it; a campaign seen on two sites is published on one."""
    rows, _ = _rows(_number(1, campaigns=[_campaign(site_id=20)]), _number(2, campaigns=[_campaign(site_id=21)]))
    assert rows["campaigns"] == {(10, "c", 20, None, 0)}
    assert {site[0] for site in rows["sites"]} == {20}


def test_a_campaign_without_a_site_makes_no_site() -> None:
    """A null site is no site, and its blocks belong to none."""
    rows, _ = _rows(_number(campaigns=[_campaign(site_id=None, site_domain_name=None, site_blocks=[_block()])]))
    assert rows["sites"] == set()
    assert rows["campaigns"] == {(10, "c", None, None, 0)}
    assert rows["site_blocks"] == {(30, "b", None, None, 0)}


def test_one_scenario_by_two_rules_is_two_links() -> None:
    """The rule is part of the link's key; the scenario is one row."""
    rows, _ = _rows(_number(scenarios=[_scenario(), _scenario(call_processing_rule_id=51, is_active=False)]))
    assert rows["virtual_number_scenarios"] == {(1, 40, 50, True, None, 0), (1, 40, 51, False, None, 0)}
    assert rows["scenarios"] == {(40, "z", 0)}


def test_a_null_rule_is_rule_zero_and_reported() -> None:
    """A key column cannot be null: 0 stands for no rule, and it is no missing field, for it was sent."""
    rows, normalizer = _rows(_number(scenarios=[_scenario(call_processing_rule_id=None)]))
    assert rows["virtual_number_scenarios"] == {(1, 40, 0, True, None, 0)}
    assert normalizer.unreported is False


def test_the_older_edition_marks_what_it_does_not_report() -> None:
    """A field that was not sent becomes null with a bit that says so, and one note in the drift."""
    number = Number(
        id=1, virtual_phone_number="7", status="active", category="usual", type="va", campaigns=[],
        scenarios=[Scenario(scenario_id=40, scenario_name="z")], redirection_phone_number=None, activation_date=None,
    )  # fmt: skip
    drift = DriftLog()
    normalizer = Normalizer(drift)
    rows = normalizer.rows([number, number])
    missing = sum(missing_bit(tables.VIRTUAL_NUMBERS, c) for c in ("child_customer_id", "comment", "name"))
    assert rows["virtual_numbers"][0] == (1, None, "7", None, None, "active", "usual", "va", None, None, None, missing)
    bits = sum(missing_bit(tables.NUMBER_SCENARIOS, c) for c in ("call_processing_rule_id", "is_active"))
    assert rows["virtual_number_scenarios"][0] == (1, 40, 0, None, None, bits)
    assert normalizer.unreported is True
    paths = (
        "$.child_customer_id",
        "$.comment",
        "$.name",
        "$.scenarios[].call_processing_rule_id",
        "$.scenarios[].is_active",
    )
    assert drift.seen == {Drift(path, DriftKind.MISSING_FIELD) for path in paths}


def test_a_reported_value_wins_over_an_unreported_one() -> None:
    """Both editions within one listing: a reported value of a shared row is kept, and there is no conflict."""
    full = _number(1, campaigns=[_campaign()])
    bare = _number(2, campaigns=[Campaign(campaign_id=10, site_blocks=[])])
    for order in ([full, bare], [bare, full]):
        rows, normalizer = _rows(*order)
        assert rows["campaigns"] == {(10, "c", 20, None, 0)}
        assert normalizer.conflicts == 0


@pytest.mark.fault("D03")
def test_unknown_fields_are_canonical_json() -> None:
    """D03: `extra` is written with its keys in one order, so their order makes no version."""
    one, other = (
        _number(extra={"b": [1, {"z": 1, "a": None}], "a": 2.5}),
        _number(extra={"a": 2.5, "b": [1, {"a": None, "z": 1}]}),
    )
    (row,), (same,) = _rows(one)[0]["virtual_numbers"], _rows(other)[0]["virtual_numbers"]
    assert row == same
    assert row[-2] == '{"a":2.5,"b":[1,{"a":null,"z":1}]}'
