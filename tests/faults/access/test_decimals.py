"""A12: decimals in undocumented fields are kept digit for digit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from sqlalchemy import Engine, text

from etl.domain.canonical import comparable, json_text
from etl.domain.decimals import MOST_DIGITS, decimal, plain_notation, shortest_notation
from etl.read.history import read_histories
from etl.report.history import as_object
from etl.report.values import as_json
from etl.snapshot.write import write_snapshot
from etl.store.engine import open_warehouse
from etl.transform.decode import decode
from etl.transform.drift import DriftLog
from etl.transform.extras import spelled
from tests.support.archive_rebuilding import rebuilt, same
from tests.support.data_case import DataCase

EXACT = {
    "0.1234567890123456789": "0.1234567890123456789",
    "1.10": "1.10",
    "-1.10": "-1.10",
    "1.0": "1.0",
    "100000000000000000000.25": "100000000000000000000.25",
    "1e2": "100",
    "1.5E3": "1500",
    "1.50e1": "15.0",
    "1.5e-10": "0.00000000015",
    "1E-7": "0.0000001",
    "-0.0": "0.0",
    "0e5": "0",
    "9007199254740993.0": "9007199254740993.0",
    "1e308": "1" + "0" * 308,
    "4.9e-324": "0." + "0" * 323 + "49",
    f"0.{'1' * 1000}": f"0.{'1' * 1000}",
}
"""Decimals as they are sent, and as JSONB prints them."""
REFUSED = ("1e400", "-1e400", "1e1000000", "1e-1000000", "1e99999999999999999999", f"0.{'1' * MOST_DIGITS}1")


@pytest.mark.parametrize("sent", EXACT)
@pytest.mark.fault("A12")
def test_a_decimal_is_written_as_jsonb_prints_it(sent: str) -> None:
    """In plain notation with every digit; equal numbers have one shortest spelling."""
    assert plain_notation(sent) == EXACT[sent]
    assert json_text(sent) == EXACT[sent]
    assert Decimal(shortest_notation(sent)) == Decimal(sent) == decimal(sent)
    assert comparable(sent) == comparable(EXACT[sent])


@pytest.mark.parametrize("sent", REFUSED)
@pytest.mark.fault("A12")
def test_a_number_of_too_many_digits_is_refused_before_they_are_written(sent: str) -> None:
    """A number of seven characters is not expanded to a million digits."""
    with pytest.raises(ValueError, match="too many digits"):
        decimal(sent)
    assert json_text(sent) == sent


@pytest.mark.fault("A12")
def test_equal_numbers_compare_as_one_value() -> None:
    """Numbers are equal for any count of zeros, and objects for any order of names."""
    assert comparable('{"b": [1.10, 100], "a": 0.0}') == comparable('{"a": -0, "b": [1.1, 1e2]}')
    assert comparable('{"a": 1.1}') != comparable('{"a": 1.11}')
    assert comparable('{"a": "1.10"}') != comparable('{"a": "1.1"}')


@pytest.fixture
def case(warehouse: Engine) -> DataCase:
    """One synced account."""
    return DataCase(warehouse)


def _send(case: DataCase, number_id: int, sent: str) -> None:
    """Serve a number with this decimal in unknown fields of its record, its campaign and its scenario."""
    place = {"campaign_id": 1, "campaign_name": "c", "site_id": None, "site_domain_name": None, "rate": "HERE"}
    rule = {"scenario_id": 1, "scenario_name": "s", "call_processing_rule_id": 1, "is_active": True, "of": ["HERE"]}
    raw = case.send(number_id, campaigns=[place | {"site_blocks": []}], scenarios=[rule], price="HERE")
    case.send_raw(number_id, raw.replace(b'"HERE"', sent.encode()))


def _stored(case: DataCase, number_id: int) -> list[str]:
    """The unknown fields of number, campaign and scenario link, as one text on both databases."""
    as_text = "cast(extra as text)"
    mine = f"where virtual_number_id = {number_id}"
    rows = case.rows(
        f"select {as_text} from virtual_numbers {mine} union all select {as_text} from campaigns where campaign_id = 1"
        f" union all select {as_text} from virtual_number_scenarios {mine}"
    )
    return [str(json_text(row[0])) for row in rows]


@pytest.mark.fault("A12")
def test_every_digit_is_stored(case: DataCase) -> None:
    """As sent, and another run with the same answer makes no version."""
    for some in (dict(list(EXACT.items())[:10]), dict(list(EXACT.items())[10:])):
        sent = dict(zip(case.numbers, some, strict=False))
        for number_id, number in sent.items():
            case.send_raw(number_id, case.send(number_id, price="HERE").replace(b'"HERE"', number.encode()))
        case.ends(0)
        rows = case.rows("select virtual_number_id, cast(extra as text) from virtual_numbers where extra is not null")
        stored = {number_id: json_text(extra) for number_id, extra in rows}
        assert {n: stored[n] for n in sent} == {n: f'{{"price": {some[number]}}}' for n, number in sent.items()}
        case.is_quiet()


@pytest.mark.fault("A12")
def test_every_table_with_unknown_fields_keeps_the_digits(case: DataCase) -> None:
    """Numbers, campaigns and scenario links keep every digit of unknown fields."""
    _send(case, case.numbers[0], "0.1234567890123456789")
    case.ends(0)
    assert _stored(case, case.numbers[0]) == [
        '{"price": 0.1234567890123456789}',
        '{"rate": 0.1234567890123456789}',
        '{"of": [0.1234567890123456789]}',
    ]


@pytest.mark.fault("A12")
def test_a_number_with_more_zeros_makes_no_version(case: DataCase) -> None:
    """1.1 and 1.10 are one number on both databases: a version keeps its first digits."""
    number_id = case.numbers[0]
    _send(case, number_id, "1.10")
    case.ends(0)
    for sent in ("1.1", "1.100", "11e-1"):
        _send(case, number_id, sent)
        account = case.ends(0)
        assert (account.rows_opened, account.rows_closed) == (0, 0)
    assert _stored(case, number_id)[0] == '{"price": 1.10}'
    _send(case, number_id, "1.11")
    assert case.ends(0).rows_opened == 3


@pytest.mark.fault("A12")
def test_digits_behind_a_double_make_a_version(case: DataCase) -> None:
    """Decimals that differ in the nineteenth digit make a new version."""
    _send(case, case.numbers[0], "0.1234567890123456788")
    case.ends(0)
    _send(case, case.numbers[0], "0.1234567890123456789")
    assert case.ends(0).rows_opened == 3


@pytest.mark.parametrize("sent", REFUSED)
@pytest.mark.fault("A12")
def test_a_record_with_a_number_of_too_many_digits_is_quarantined(case: DataCase, sent: str) -> None:
    """The record is quarantined as sent, and its number does not change."""
    number_id = case.numbers[0]
    before = case.image()
    raw = case.send(number_id, price="HERE").replace(b'"HERE"', sent.encode())
    case.send_raw(number_id, raw)
    case.ends(3, quarantined=1)
    (row,) = case.quarantined()
    assert (row.virtual_number_id, row.record) == (number_id, raw.decode())
    assert case.image() == before
    case.honest()


def _heads(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text("select chain_digest from account_syncs order by observed_at")))


@pytest.mark.fault("A12")
def test_both_databases_come_to_the_same_heads(
    sqlite_warehouse: Engine, new_postgresql: Any, postgresql_template: str
) -> None:
    """Both make the same decisions about versions, day after day."""
    cases = [DataCase(sqlite_warehouse), DataCase(open_warehouse(new_postgresql(postgresql_template)))]
    for sent in ("1.1", "1.10", "0.1234567890123456789", "1e2", "100", "100.0", "-0.0", "0"):
        for case in cases:
            _send(case, case.numbers[0], sent)
            case.ends(0)
    one, other = (_heads(case.engine) for case in cases)
    assert one == other
    assert len(one) == 9


@pytest.mark.fault("A12")
def test_a_replay_comes_to_the_same_heads(warehouse: Engine, other_warehouse: Engine, tmp_path: Path) -> None:
    """A replay reads the archived bytes in the same way, so it gives the same heads."""
    case = DataCase(warehouse, archive=tmp_path / "archive")
    for sent in ("1.10", "1.100", "0.1234567890123456789"):
        _send(case, case.numbers[0], sent)
        case.ends(0)
    assert rebuilt(case.rig, other_warehouse).mismatches == {}
    same(case.rig, other_warehouse)


@pytest.mark.fault("A12")
def test_history_and_snapshots_tell_every_digit(case: DataCase, tmp_path: Path) -> None:
    """As JSON numbers in the text of history and in NDJSON, and in Parquet's text."""
    number_id = case.numbers[0]
    _send(case, number_id, "0.1234567890123456789")
    case.ends(0)
    lives = read_histories(case.engine, str(number_id))
    told = as_json(as_object(str(number_id), lives, None))
    assert '"extra": {"price": 0.1234567890123456789}' in told
    assert '"extra": {"of": [0.1234567890123456789]}' in told
    write_snapshot(case.engine, case.rig.clock.now(), tmp_path / "taken", ["ndjson", "parquet", "csv"])
    lines = (tmp_path / "taken" / "virtual_numbers.ndjson").read_text(encoding="utf-8")
    assert lines.count('"extra":{"price":0.1234567890123456789}') == 1
    rows = pyarrow.parquet.read_table(tmp_path / "taken" / "campaigns.parquet").to_pylist()
    assert [row["extra"] for row in rows if row["extra"]] == ['{"rate":0.1234567890123456789}']
    assert "0.1234567890123456789" in (tmp_path / "taken" / "virtual_number_scenarios.csv").read_text(encoding="utf-8")


@pytest.mark.fault("A12")
def test_unknown_fields_have_one_spelling() -> None:
    """Names in order, no blanks, tiny decimals without an exponent."""
    record = (
        b'{"id": 1, "virtual_phone_number": null, "status": null, "category": null, "type": null, "campaigns": [],'
        b' "scenarios": [], "b": {"z": 1E-7, "a": [1.10, "1e5"]}, "a": 2.50}'
    )
    (number,) = decode([record], DriftLog()).numbers
    assert spelled(number.extra) == '{"a":2.50,"b":{"a":[1.10,"1e5"],"z":0.0000001}}'
