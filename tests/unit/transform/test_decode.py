"""A record's bytes become a number, or are rejected with the place and the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import UNSET

from etl.transform.decode import Rejected, decode
from etl.transform.drift import Drift, DriftKind, DriftLog
from etl.transform.records import Number

NEWER: dict[str, Any] = {
    "id": 101,
    "child_customer_id": 7,
    "virtual_phone_number": "74951112233",
    "redirection_phone_number": None,
    "activation_date": "2026-03-29 01:30:00",
    "status": "active",
    "category": "usual",
    "type": "va",
    "comment": "",
    "name": None,
    "campaigns": [
        {
            "campaign_id": 1,
            "campaign_name": "Осень",
            "site_id": 5,
            "site_domain_name": "example.com",
            "site_blocks": [{"site_block_id": 9, "site_block_name": "b", "is_tracking": True}],
        }
    ],
    "scenarios": [{"scenario_id": 3, "scenario_name": "s", "call_processing_rule_id": 4, "is_active": False}],
}
OLDER = {k: v for k, v in NEWER.items() if k not in ("child_customer_id", "comment", "name")}
BLOCK = "$.campaigns[].site_blocks[]"
KEPT_OPEN = {
    ("campaigns", False): ("virtual_number_campaigns", "virtual_number_site_blocks"),
    ("campaigns", True): ("virtual_number_site_blocks",),
    ("scenarios", False): ("virtual_number_scenarios",),
}


def _bytes(record: object) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def _without(name: str) -> dict[str, Any]:
    return {k: v for k, v in NEWER.items() if k != name}


def _campaign(**fields: Any) -> dict[str, Any]:
    return NEWER | {"campaigns": [NEWER["campaigns"][0] | fields]}


def _one(record: object, drift: DriftLog | None = None) -> Number | Rejected:
    body = record if isinstance(record, bytes) else _bytes(record)
    decoded = decode([body], drift or DriftLog())
    outcomes: list[Number | Rejected] = [*decoded.numbers, *decoded.rejected]
    (outcome,) = outcomes
    return outcome


@pytest.mark.parametrize("record", [NEWER, OLDER], ids=["newer", "older"])
def test_both_editions_are_read_without_remark(record: dict[str, Any]) -> None:
    """Both records are as documented; a field that an edition does not send is unset, neither null nor empty."""
    drift = DriftLog()
    number = _one(record, drift)
    assert isinstance(number, Number)
    assert (number.id, number.virtual_phone_number, number.redirection_phone_number) == (101, "74951112233", None)
    assert number.campaigns[0].site_blocks[0].is_tracking is True
    assert number.comment == ("" if record is NEWER else UNSET)
    assert drift.seen == set()


@pytest.mark.fault("D01")
def test_null_missing_and_empty_are_three_things() -> None:
    """D01: null, missing and empty comments are distinguished."""
    comments = [_one(NEWER | {"comment": None}), _one(_without("comment")), _one(NEWER | {"comment": ""})]
    assert [n.comment for n in comments if isinstance(n, Number)] == [None, UNSET, ""]


@pytest.mark.parametrize("field", ["status", "category", "type"])
@pytest.mark.parametrize(
    ("sent", "noted"),
    [
        ("brand_new", "brand_new"),
        (None, "null"),
        ("", ""),
    ],
)
@pytest.mark.fault("D02")
def test_unknown_enum_values_are_kept_and_reported(field: str, sent: str | None, noted: str) -> None:
    """D02: the value is taken as it is, and the report names it."""
    drift = DriftLog()
    number = _one(NEWER | {field: sent}, drift)
    assert getattr(number, field) == sent
    assert drift.seen == {Drift(f"$.{field}", DriftKind.UNKNOWN_VALUE, noted)}


@pytest.mark.fault("D03")
def test_unknown_fields_at_every_level_are_kept_and_reported() -> None:
    """D03: nothing that the API sends is dropped, wherever a field is new."""
    record = _campaign(weight=1.5, site_blocks=[{"site_block_id": 9, "hue": "red"}]) | {
        "tags": [1],
        "scenarios": [NEWER["scenarios"][0] | {"mode": None}],
    }
    drift = DriftLog()
    number = _one(record, drift)
    assert isinstance(number, Number)
    assert number.extra == {"tags": [1]}
    assert number.campaigns[0].extra == {"weight": 1.5}
    assert number.campaigns[0].site_blocks[0].extra == {"hue": "red"}
    assert number.scenarios[0].extra == {"mode": None}
    assert {d.path for d in drift.seen} == {"$.tags", "$.campaigns[].weight", f"{BLOCK}.hue", "$.scenarios[].mode"}
    assert {d.kind for d in drift.seen} == {DriftKind.UNKNOWN_FIELD}


@pytest.mark.parametrize(
    ("record", "path", "kind"),
    [
        (_without("virtual_phone_number"), "$", DriftKind.MISSING_FIELD),
        (_without("campaigns"), "$", DriftKind.MISSING_FIELD),
        (_without("scenarios"), "$", DriftKind.MISSING_FIELD),
        (NEWER | {"status": 5}, "$.status", DriftKind.CHANGED_TYPE),
        (NEWER | {"comment": ["a"]}, "$.comment", DriftKind.CHANGED_TYPE),
        (NEWER | {"campaigns": {}}, "$.campaigns", DriftKind.CHANGED_TYPE),
        (NEWER | {"campaigns": None}, "$.campaigns", DriftKind.CHANGED_TYPE),
    ],
)
@pytest.mark.fault("D05")
def test_wrong_types_are_rejected_with_the_place(record: object, path: str, kind: DriftKind) -> None:
    """D05, D07: nothing is coerced; the record goes to quarantine, and the report names the field."""
    drift = DriftLog()
    rejected = _one(record, drift)
    assert isinstance(rejected, Rejected)
    assert rejected.whole
    assert (rejected.virtual_number_id, rejected.record) == (101, _bytes(record))
    assert rejected.path.replace("[...]", "[]") == path
    assert rejected.reason
    assert {(d.path, d.kind) for d in drift.seen} == {(path, kind)}


@pytest.mark.parametrize(
    ("record", "path", "kind"),
    [
        (NEWER | {"scenarios": [3]}, "$.scenarios[]", DriftKind.CHANGED_TYPE),
        (_campaign(campaign_id="1"), "$.campaigns[].campaign_id", DriftKind.CHANGED_TYPE),
        (_campaign(campaign_id=1.0), "$.campaigns[].campaign_id", DriftKind.CHANGED_TYPE),
        (_campaign(campaign_id=True), "$.campaigns[].campaign_id", DriftKind.CHANGED_TYPE),
        (_campaign(site_id=2**63), "$.campaigns[].site_id", DriftKind.CHANGED_TYPE),
        (
            _campaign(site_blocks=[{"site_block_id": 9, "is_tracking": 1}]),
            f"{BLOCK}.is_tracking",
            DriftKind.CHANGED_TYPE,
        ),
        (_campaign(site_blocks=[{}]), BLOCK, DriftKind.MISSING_FIELD),
    ],
)
@pytest.mark.fault("D05")
def test_wrong_types_in_an_element_refuse_it_alone(record: object, path: str, kind: DriftKind) -> None:
    """D05, D07, A07: the number is read without the element; the report names the field, not the row."""
    drift = DriftLog()
    decoded = decode([_bytes(record)], drift)
    (number,), (rejected,) = decoded.numbers, decoded.rejected
    assert (number.id, rejected.virtual_number_id, rejected.record) == (101, 101, _bytes(record))
    assert rejected.keeps_open == KEPT_OPEN[path.removeprefix("$.").partition("[")[0], ".site_blocks[]" in path]
    assert rejected.path.replace("[0]", "[]") == path
    assert rejected.reason
    assert {(d.path, d.kind) for d in drift.seen} == {(path, kind)}


@pytest.mark.parametrize(
    "sent",
    [
        "2026-02-30 00:00:00",
        "0000-00-00 00:00:00",
        "2026-01-01 24:00:00",
        "2026-01-01 23:59:60",
        "9999-12-31 00:00:00",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00+03:00",
        "2026-01-01 00:00:00.5",
        "٢٠٢٦-٠١-٠١ ٠٠:٠٠:٠٠",
        "",
        "yesterday - at `$.id`",
    ],
)
@pytest.mark.fault("D16")
def test_dates_that_are_none_are_rejected(sent: str) -> None:
    """D16: the documented format and a day that exists, or quarantine."""
    rejected = _one(NEWER | {"activation_date": sent})
    assert isinstance(rejected, Rejected)
    assert rejected.path == "$.activation_date"
    assert rejected.reason == f"not a date and time: {sent!r}"


@pytest.mark.parametrize("sent", ["2026-03-29 01:30:00", "2026-10-25 01:30:00", "1970-01-01 00:00:00", None])
@pytest.mark.fault("D17")
def test_local_times_stay_as_they_are(sent: str | None) -> None:
    """D17: a time that clocks skip or have twice is no error: it has no zone here and is never converted."""
    number = _one(NEWER | {"activation_date": sent})
    assert isinstance(number, Number)
    assert number.activation_date == sent


@pytest.mark.parametrize(
    "sent", [2**63 - 1, -(2**63), 0, -1, 2**53 + 1], ids=["largest", "smallest", "zero", "negative", "beyond a double"]
)
@pytest.mark.fault("D07")
def test_ids_of_64_bits_are_exact(sent: int) -> None:
    """D07: every 64-bit id is taken exactly."""
    number = _one(NEWER | {"id": sent})
    assert isinstance(number, Number)
    assert number.id == sent


@pytest.mark.parametrize(
    "record",
    [
        NEWER | {"id": 2**63},
        NEWER | {"id": -(2**63) - 1},
        NEWER | {"id": "101"},
        NEWER | {"id": 101.0},
        NEWER | {"id": True},
        NEWER | {"id": None},
        _without("id"),
        {},
        [],
        None,
        "record",
        5,
        b'{"id": 1e999}',
        b'{"id": NaN}',
        b'{"id": 1' + b"0" * 5000 + b"}",
        b'{"id": "\xff"}',
        b"[" * 20_000 + b"]" * 20_000,
    ],
)
@pytest.mark.fault("D06", "D07")
def test_what_has_no_usable_id_is_rejected_without_one(record: object) -> None:
    """D06, D07, H12: no id is invented or rounded; a reason is given, and no other error comes out."""
    rejected = _one(record)
    assert isinstance(rejected, Rejected)
    assert rejected.virtual_number_id is None
    assert rejected.reason


def test_one_bad_record_does_not_spoil_its_page() -> None:
    """The good ones are taken, in their order, and the bad one alone is rejected."""
    records = [NEWER | {"id": 1}, NEWER | {"id": 2, "status": 5}, NEWER | {"id": 3, "new": 1}]
    decoded = decode([_bytes(r) for r in records], DriftLog())
    assert [n.id for n in decoded.numbers] == [1, 3]
    assert [r.virtual_number_id for r in decoded.rejected] == [2]


def test_an_empty_page_is_no_numbers() -> None:
    """No records in, nothing out."""
    decoded = decode([], DriftLog())
    assert (decoded.numbers, decoded.rejected) == ([], [])


@pytest.mark.parametrize(
    "record",
    [
        _bytes(NEWER)[:-1] + b', "status": "waiting"}',
        _bytes(NEWER)[:-1] + b', "st\\u0061tus": "active"}',
        _bytes(NEWER)[:-1] + b', "new": 1, "new": 2}',
        _bytes(NEWER)[:-1] + b', "new": [{"x": 1, "x": 1}]}',
    ],
    ids=["known field", "written otherwise", "unknown field", "deep in an unknown field"],
)
@pytest.mark.fault("D12")
def test_a_key_that_comes_twice_is_rejected(record: bytes) -> None:
    """D12: the last one would hide the other, so the record goes to quarantine."""
    assert isinstance(_one(record), Rejected)


@pytest.mark.parametrize(
    ("record", "path"),
    [
        (_bytes(NEWER).replace(b'"site_id": 5', b'"site_id": 5, "site_id": 5'), "$.campaigns[0]"),
        (_bytes(NEWER).replace(b'"is_active"', b'"deep": [{"x": 1, "x": 1}], "is_active"'), "$.scenarios[0]"),
        (
            _bytes(NEWER).replace(b'"site_block_id": 9', b'"site_block_id": 9, "site_block_id": 9'),
            "$.campaigns[0].site_blocks[0]",
        ),
    ],
    ids=["campaign", "deep in an unknown field", "site block"],
)
@pytest.mark.fault("D12")
def test_a_key_that_comes_twice_in_an_element_refuses_it_alone(record: bytes, path: str) -> None:
    """D12, A07: whichever of the two is meant, the rest of the record is known."""
    decoded = decode([record], DriftLog())
    assert [n.id for n in decoded.numbers] == [101]
    assert [(r.path, r.whole) for r in decoded.rejected] == [(path, False)]
