"""Records that cannot be used, and records with unforeseen content, in whole runs on both databases."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.domain.runs import AccountStatus, RunStatus
from etl.domain.text import original
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.rig import Rig

QUARANTINE = "select virtual_number_id, path, reason, record from quarantine where run_id = :r order by quarantine_id"


@pytest.fixture
def rig(warehouse: Engine) -> Rig:
    """An account of twelve numbers, synced once."""
    rig = Rig(World(seed=2, customers=[CustomerPlan(numbers=12)], role="customer", id_step=9), warehouse)
    assert rig.sync().exit_code == 0
    return rig


def _record(rig: Rig, number_id: int) -> dict[str, Any]:
    return next(r for r in rig.world.truth(rig.only) if r["id"] == number_id)


def _put(rig: Rig, number_id: int, **fields: Any) -> None:
    rig.world.put_raw(rig.only, number_id, json.dumps(_record(rig, number_id) | fields).encode())


SPOILED: dict[str, tuple[dict[str, Any], str]] = {
    "d05 a number for a text": ({"status": 5}, "$.status"),
    "d05 a text for an array": ({"campaigns": "none"}, "$.campaigns"),
    "d05 null for an array": ({"scenarios": None}, "$.scenarios"),
    "d05 a child without its id": ({"scenarios": [{"scenario_name": "x"}]}, "$.scenarios"),
    "d07 a child's id beyond 64 bits": ({"scenarios": [{"scenario_id": 2**63}]}, "$.scenarios"),
    "d16 a day that is none": ({"activation_date": "2026-02-30 00:00:00"}, "$.activation_date"),
    "d16 no date at all": ({"activation_date": "0000-00-00 00:00:00"}, "$.activation_date"),
    "d16 beyond time": ({"activation_date": "9999-12-31 23:59:59"}, "$.activation_date"),
}


@pytest.mark.fault("D05", "D16")
def test_a_bad_record_leaves_its_number_as_it_was(rig: Rig) -> None:
    """Eight spoiled records, one in each run: each is quarantined with place and reason, and nothing is closed."""
    numbers = sorted(rig.world.numbers(rig.only))
    before = oracle.current(rig.engine, rig.only)
    for number_id, (fields, path) in zip(numbers, SPOILED.values(), strict=False):
        _put(rig, number_id, **fields)
        result = rig.sync()
        (account,) = result.accounts
        assert (result.status, result.exit_code) == (RunStatus.PARTIAL, 3)
        assert (account.status, account.quarantined) == (AccountStatus.SUCCEEDED, 1)
        assert (account.rows_opened, account.rows_closed) == (0, 0)
        ((found_id, found_path, reason, record),) = rig.rows(QUARANTINE, r=result.run_id)
        assert found_id == number_id
        assert found_path.startswith(path)
        assert reason
        assert json.loads(record) == _record(rig, number_id)
        rig.world.clear_raw(rig.only)
    assert oracle.current(rig.engine, rig.only) == before
    assert rig.sync().exit_code == 0
    assert oracle.current(rig.engine, rig.only) == before


@pytest.mark.fault("D07")
def test_a_number_whose_id_cannot_be_read_is_not_called_gone(rig: Rig) -> None:
    """The record is quarantined without an id; the number is requested by id, comes, and stays open."""
    first, second = sorted(rig.world.numbers(rig.only))[:2]
    before = oracle.current(rig.engine, rig.only)
    _put(rig, first, id=str(first))
    _put(rig, second, id=2**64 + second)
    result = rig.sync()
    assert result.exit_code == 3
    assert (result.accounts[0].quarantined, result.accounts[0].rows_closed) == (2, 0)
    assert [row[0] for row in rig.rows(QUARANTINE, r=result.run_id)] == [None, None]
    assert oracle.current(rig.engine, rig.only) == before


def test_a_missing_required_field_is_reported_as_drift(rig: Rig) -> None:
    """D04: a missing field is not read as null: the record is quarantined, and the drift names the field."""
    number_id = min(rig.world.numbers(rig.only))
    record = _record(rig, number_id)
    del record["virtual_phone_number"]
    rig.world.put_raw(rig.only, number_id, json.dumps(record).encode())
    assert rig.sync().exit_code == 3
    assert rig.rows("select path, value from source_drift where kind = 'missing_field'") == [
        ("$", "virtual_phone_number")
    ]


@pytest.mark.parametrize("spoiled", [7, 12])
@pytest.mark.fault("D21")
def test_too_many_unusable_records_fail_the_account(rig: Rig, spoiled: int) -> None:
    """D21: if most records are unusable, the source has changed: exit 65, and the good ones are not published."""
    before = oracle.current(rig.engine, rig.only)
    numbers = sorted(rig.world.numbers(rig.only))
    for number_id in numbers[:spoiled]:
        _put(rig, number_id, status=5)
    rig.world.edit(rig.only, numbers[-1], comment="changed")
    result = rig.sync()
    assert (result.status, result.exit_code) == (RunStatus.FAILED, 65)
    assert "$.status" in str(result.error)
    assert oracle.current(rig.engine, rig.only) == before


@pytest.mark.fault("D21")
def test_up_to_half_the_good_ones_are_published(rig: Rig) -> None:
    """Six of twelve: the others are published, the six are quarantined."""
    numbers = sorted(rig.world.numbers(rig.only))
    for number_id in numbers[:6]:
        _put(rig, number_id, status=5)
    rig.world.edit(rig.only, numbers[-1], comment="changed")
    result = rig.sync()
    assert (result.exit_code, result.accounts[0].quarantined) == (3, 6)
    assert rig.rows("select comment from virtual_numbers where virtual_number_id = :n", n=numbers[-1]) == [("changed",)]


STRANGE = {"comment": "a\0b", "name": "\ud800 alone \udfff", "virtual_phone_number": "␀ +7\u202e"}


@pytest.mark.fault("D08", "D09", "D10")
def test_what_no_database_holds_is_kept_by_the_encoding(rig: Rig) -> None:
    """NUL and lone surrogates are stored as U+2400 and four digits on both databases, and can be decoded exactly."""
    number_id = min(rig.world.numbers(rig.only))
    _put(rig, number_id, **STRANGE, **{"new\0field": ["\udc00"]})
    result = rig.sync()
    assert (result.exit_code, result.accounts[0].rows_opened) == (0, 1)
    statement = "select comment, name, virtual_phone_number, extra from virtual_numbers where virtual_number_id = :n"
    ((comment, name, phone, extra),) = rig.rows(statement, n=number_id)
    assert (comment, name, phone) == ("a␀0000b", "␀d800 alone ␀dfff", "␀2400 +7\u202e")
    assert [original(value) for value in (comment, name, phone)] == list(STRANGE.values())
    assert (json.loads(extra) if isinstance(extra, str) else extra) == {"new␀0000field": ["␀dc00"]}
    assert rig.sync().accounts[0].rows_opened == 0


@pytest.mark.fault("D08")
def test_a_record_with_such_text_can_be_quarantined_too(rig: Rig) -> None:
    """The quarantine holds the record as sent, in the same encoding."""
    number_id = min(rig.world.numbers(rig.only))
    _put(rig, number_id, **STRANGE, status=5)
    result = rig.sync()
    ((_, path, _, record),) = rig.rows(QUARANTINE, r=result.run_id)
    assert path == "$.status"
    assert {k: original(json.loads(record)[k]) for k in STRANGE} == STRANGE


@pytest.mark.fault("D03")
def test_unknown_fields_are_kept_and_reported_once(rig: Rig) -> None:
    """D03: a new field makes one version, the order of its keys none; the drift has its first and last run."""
    number_id = min(rig.world.numbers(rig.only))
    _put(rig, number_id, weight={"b": 1, "a": [1.5, None]})
    first = rig.sync()
    assert (first.exit_code, first.accounts[0].rows_opened) == (0, 1)
    _put(rig, number_id, weight={"a": [1.5, None], "b": 1})
    last = rig.sync()
    assert last.accounts[0].rows_opened == 0
    assert rig.rows("select kind, value, first_run_id, last_run_id from source_drift where path = '$.weight'") == [
        ("unknown_field", "", first.run_id, last.run_id)
    ]


@pytest.mark.fault("D02")
def test_unknown_enum_values_are_stored_and_reported(rig: Rig) -> None:
    """D02: unknown values are stored verbatim, and the run succeeds."""
    number_id = min(rig.world.numbers(rig.only))
    _put(rig, number_id, status="hibernating", category=None)
    assert rig.sync().exit_code == 0
    stored = rig.rows("select status, category from virtual_numbers where virtual_number_id = :n", n=number_id)
    assert stored == [("hibernating", None)]
    assert rig.rows("select path, value from source_drift where kind = 'unknown_value' order by path") == [
        ("$.category", "null"),
        ("$.status", "hibernating"),
    ]


@pytest.mark.fault("D11")
def test_texts_beyond_an_index_are_stored(rig: Rig) -> None:
    """D11: a comment of a megabyte, a field's name longer than an index entry may be, and a long unknown value."""
    noise = random.Random(1).randbytes(4000).hex()
    number_id = min(rig.world.numbers(rig.only))
    _put(rig, number_id, comment="я" * 2**20, status=noise, **{noise: 1})
    result = rig.sync()
    assert (result.exit_code, result.error) == (0, None)
    length = "select length(comment), length(status) from virtual_numbers where virtual_number_id = :n"
    assert rig.rows(length, n=number_id) == [(2**20, 8000)]


@pytest.mark.fault("D14")
def test_a_campaign_seen_on_two_sites_is_published_on_one(rig: Rig) -> None:
    """D14: of contradicting copies in a listing the same one always wins, and is counted; later days add no version."""
    one, other, third = sorted(rig.world.numbers(rig.only))[:3]
    for number_id, site in ((one, 9001), (other, 9002)):
        campaign = {
            "campaign_id": 9000,
            "campaign_name": "Two sites",
            "site_id": site,
            "site_domain_name": f"{site}.example",
        }
        _put(rig, number_id, campaigns=[campaign | {"site_blocks": []}])
    first = rig.sync()
    assert (first.exit_code, first.accounts[0].conflicts) == (0, 1)
    assert rig.rows("select site_id from campaigns where campaign_id = 9000") == [(9001,)]
    assert rig.rows("select site_id from sites where site_id in (9001, 9002)") == [(9001,)]
    rig.world.edit(rig.only, third, comment="another day")
    second = rig.sync()
    assert (second.exit_code, second.accounts[0].rows_opened, second.accounts[0].rows_closed) == (0, 1, 1)
    assert oracle.broken_invariants(rig.engine) == []


def test_a_rule_that_only_some_links_report(rig: Rig) -> None:
    """One scenario twice in a record, with its rule and without: later syncs of the same record write nothing."""
    number_id = min(rig.world.numbers(rig.only))
    bare = {"scenario_id": 9000, "scenario_name": "Half told"}
    _put(rig, number_id, scenarios=[{**bare, "call_processing_rule_id": 5, "is_active": True}, bare])
    assert rig.sync().exit_code == 0
    for _ in range(2):
        result = rig.sync()
        assert (result.exit_code, result.error) == (0, None)
        assert (result.accounts[0].rows_opened, result.accounts[0].rows_closed) == (0, 0)
