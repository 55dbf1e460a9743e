"""A11: two copies of a record, or of a shared row, of which one has more information."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine

from etl.extract.answers import Result
from etl.extract.page import Page, read_page
from etl.sandbox import faults
from etl.transform.drift import DriftLog
from etl.transform.normalize import Normalizer
from etl.transform.records import Campaign, Number, Scenario, SiteBlock
from tests.support import oracle
from tests.support.data_case import DataCase


def _page(*records: bytes) -> Page:
    data = msgspec.Raw(b"[" + b",".join(records) + b"]")
    return read_page(Result(data=data, metadata={"total_items": 1}), 100)


def _record(**fields: Any) -> bytes:
    usual = {"id": 1, "name": "n", "comment": "c", "campaigns": [{"campaign_id": 1}], "scenarios": []}
    return json.dumps(usual | fields).encode()


SAYS_MORE: dict[str, tuple[bytes, bytes]] = {
    "a value against null": (_record(comment="z"), _record(comment=None)),
    "a value against null, whatever sorts first": (_record(comment="a"), _record(comment=None, name="a")),
    "a value against a field that was not sent": (
        _record(),
        b'{"id": 1, "name": "n", "campaigns": [{}], "scenarios": []}',
    ),
    "null against a field that was not sent": (_record(extra=None), _record()),
    "elements against none": (_record(), _record(campaigns=[])),
    "two values against three nulls": (_record(comment="c", name="n"), _record(comment=None, name="n", scenarios=None)),
    "a value against null within an element": (
        _record(campaigns=[{"campaign_id": 1, "campaign_name": "z"}]),
        _record(campaigns=[{"campaign_id": 1, "campaign_name": None}]),
    ),
    "an id against null": (_record(scenarios=[{"scenario_id": 9}]), _record(scenarios=[{"scenario_id": None}])),
    "what can be read against what cannot": (_record(comment="z"), b'{"id": 1, "name": 1e999}'),
}


@pytest.mark.parametrize("name", SAYS_MORE)
@pytest.mark.fault("A11")
def test_of_two_records_of_one_number_the_one_that_says_more_is_taken(name: str) -> None:
    """The copy with more information wins in either order, and the contradiction is counted once."""
    more, less = SAYS_MORE[name]
    for copies in itertools.permutations((more, less)):
        page = _page(*copies)
        assert bytes(page.records[1]) == more
        assert (page.duplicates, page.conflicts) == (0, 1)


@pytest.mark.fault("A11")
def test_two_values_are_decided_in_any_order_alike() -> None:
    """Of copies with equal information the same one is taken in any order, also of three."""
    copies = [_record(comment="b"), _record(comment="a"), _record(comment=None)]
    taken = {bytes(_page(*order).records[1]) for order in itertools.permutations(copies)}
    assert taken == {_record(comment="a")}


@pytest.mark.fault("A11")
def test_copies_of_one_content_are_no_contradiction() -> None:
    """Another order of keys and elements, and more zeros, are the same content; the taken bytes are always the same."""
    one = b'{"id": 1, "rate": 1.5, "tags": [1, 2]}'
    other = b'{"tags": [2, 1], "rate": 1.50, "id": 1}'
    pages = [_page(*order) for order in itertools.permutations((one, other))]
    assert [(p.duplicates, p.conflicts) for p in pages] == [(1, 0), (1, 0)]
    assert bytes(pages[0].records[1]) == bytes(pages[1].records[1])


@pytest.mark.fault("A11")
def test_digits_beyond_a_double_are_a_contradiction() -> None:
    """Two decimals that one double represents are two values."""
    copies = [b'{"id": 1, "rate": 0.1234567890123456789}', b'{"id": 1, "rate": 0.1234567890123456788}']
    pages = [_page(*order) for order in itertools.permutations(copies)]
    assert [p.conflicts for p in pages] == [1, 1]
    assert bytes(pages[0].records[1]) == bytes(pages[1].records[1]) == copies[1]


def _number(number_id: int, campaign: Campaign, scenario: Scenario) -> Number:
    kind: dict[str, Any] = {"status": "active", "category": "usual", "type": "va"}
    return Number(id=number_id, virtual_phone_number=None, campaigns=[campaign], scenarios=[scenario], **kind)


def _named(name: str | None, site: int | None, domain: str | None) -> tuple[Campaign, Scenario]:
    block = SiteBlock(site_block_id=30, site_block_name=name)
    place: dict[str, Any] = {"campaign_name": name, "site_id": site, "site_domain_name": domain, "site_blocks": [block]}
    return Campaign(campaign_id=10, **place), Scenario(scenario_id=40, scenario_name=name)


@pytest.mark.fault("A11")
def test_of_two_copies_of_a_shared_row_null_loses_against_a_value() -> None:
    """For each shared table, in any order of the numbers; the contradictions are counted as usual."""
    told = [_named(None, 20, "s"), _named("spring", 20, None), _named("spring", None, None)]
    numbers = [_number(n, *copy) for n, copy in enumerate(told)]
    for order in itertools.permutations(numbers):
        normalizer = Normalizer(DriftLog())
        normalizer.rows(order)
        rows = normalizer.shared_rows()
        assert rows == {
            "campaigns": [(10, "spring", 20, None, 0)],
            "sites": [(20, "s", 0)],
            "site_blocks": [(30, "spring", 20, None, 0)],
            "scenarios": [(40, "spring", 0)],
        }
        assert normalizer.conflicts == 4


@pytest.fixture
def case(warehouse: Engine) -> DataCase:
    """One synced account."""
    return DataCase(warehouse)


@pytest.mark.fault("A11")
def test_a_record_that_comes_twice_is_stored_as_the_copy_that_says_more(case: DataCase) -> None:
    """In whole runs: a second copy with nulls makes no version, and is counted each day."""
    nothing: dict[str, object] = {"virtual_phone_number": None, "comment": None, "campaigns": []}
    case.rig.api.faults.add(faults.Duplicate(nothing), times=None)
    for _ in range(2):
        account = case.ends(0)
        assert (account.conflicts, account.rows_opened, account.rows_closed) == (1, 0, 0)
    case.is_true()


@pytest.mark.parametrize("shortcuts", [True, False])
@pytest.mark.fault("A11")
def test_a_name_that_some_records_leave_null_stays_known(case: DataCase, shortcuts: bool) -> None:
    """One number of a campaign begins to send its name as null: the name stays, with and without shortcuts."""
    records = case.records.values()
    held = [r for r in records if len(r["campaigns"]) == 1]
    name = held[0]["campaigns"][0]["campaign_name"]
    campaign_id = held[0]["campaigns"][0]["campaign_id"]
    sharers = [r["id"] for r in held if r["campaigns"][0]["campaign_id"] == campaign_id]
    assert len(sharers) > 1
    nameless = held[0]["campaigns"][0] | {"campaign_name": None}
    case.send(held[0]["id"], campaigns=[nameless])
    result = case.rig.sync(shortcuts=shortcuts).accounts[0]
    assert case.rows("select campaign_name from campaigns where campaign_id = :c", c=campaign_id) == [(name,)]
    assert (result.conflicts, result.rows_opened, result.rows_closed) == (1, 0, 0)
    assert oracle.broken_invariants(case.engine) == []


@pytest.mark.parametrize("shortcuts", [True, False])
@pytest.mark.fault("A11")
def test_a_name_that_some_records_begin_to_tell_is_taken(case: DataCase, shortcuts: bool) -> None:
    """All numbers leave a scenario nameless, then one sends its name: it is taken, with and without shortcuts."""
    nameless = {"scenario_id": 9000, "scenario_name": None, "call_processing_rule_id": 1, "is_active": True}
    for number_id in case.numbers:
        case.send(number_id, scenarios=[nameless])
    case.ends(0)
    case.send(case.numbers[3], scenarios=[nameless | {"scenario_name": "told"}])
    for _ in range(2):
        result = case.rig.sync(shortcuts=shortcuts).accounts[0]
        assert result.conflicts == 1
        assert case.rows("select scenario_name from scenarios where scenario_id = 9000") == [("told",)]
    assert (result.rows_opened, result.rows_closed) == (0, 0)
