"""Decoding and normalizing over any records: order means nothing, both paths agree, nothing ever raises."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.domain.text import storable
from etl.transform import decode as decoding
from etl.transform.decode import decode
from etl.transform.drift import DriftLog
from etl.transform.normalize import Normalizer
from etl.transform.records import CATEGORIES, STATUSES, TYPES

TEXT = st.none() | st.text(max_size=4)
ID = st.integers(1, 4)
BLOCK = st.fixed_dictionaries({"site_block_id": ID, "site_block_name": TEXT}, optional={"is_tracking": st.booleans()})
CAMPAIGN = st.fixed_dictionaries(
    {
        "campaign_id": ID,
        "campaign_name": TEXT,
        "site_id": st.none() | ID,
        "site_domain_name": TEXT,
        "site_blocks": st.lists(BLOCK, max_size=3),
    }
)
SCENARIO = st.fixed_dictionaries(
    {"scenario_id": ID, "scenario_name": TEXT},
    optional={"call_processing_rule_id": st.none() | ID, "is_active": st.none() | st.booleans()},
)
RECORD: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "virtual_phone_number": TEXT,
        "redirection_phone_number": TEXT,
        "activation_date": st.none() | st.datetimes().map(lambda t: f"{t:%Y-%m-%d %H:%M:%S}".zfill(19)),
        "status": st.sampled_from(sorted(STATUSES)) | TEXT,
        "category": st.sampled_from(sorted(CATEGORIES)) | TEXT,
        "type": st.sampled_from(sorted(TYPES)) | TEXT,
        "campaigns": st.lists(CAMPAIGN, max_size=4),
        "scenarios": st.lists(SCENARIO, max_size=4),
    },
    optional={"child_customer_id": st.none() | ID, "comment": TEXT, "name": TEXT},
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _runs(examples: int) -> settings:
    """So many examples, on a machine however busy."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _bytes(record: object) -> bytes:
    return storable(json.dumps(record).encode())


def _rows(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    normalizer = Normalizer(DriftLog())
    rows = normalizer.rows(decode([_bytes(r) for r in records], DriftLog()).numbers)
    return {name: sorted(found, key=repr) for name, found in {**rows, **normalizer.shared_rows()}.items()}


def _shuffled(draw: st.DrawFn, items: list[Any]) -> list[Any]:
    """The items in another order, some of them twice."""
    again = draw(st.lists(st.sampled_from(items), max_size=2)) if items else []
    return draw(st.permutations([*items, *again]))


@st.composite
def _twins(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Records, and the same records with every array in another order and with duplicates, in another order."""
    records = draw(st.lists(RECORD, max_size=4, unique_by=lambda r: r["id"]))
    others = []
    for record in records:
        campaigns = [c | {"site_blocks": _shuffled(draw, c["site_blocks"])} for c in record["campaigns"]]
        scenarios = _shuffled(draw, record["scenarios"])
        others.append(record | {"campaigns": _shuffled(draw, campaigns), "scenarios": scenarios})
    return records, draw(st.permutations(others))


@given(_twins())
@_runs(60)
def test_order_and_duplicates_mean_nothing(twins: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """D13, D14: the rows are the same, contradictions between copies included."""
    assert _rows(twins[0]) == _rows(twins[1])


@given(st.lists(RECORD, max_size=5))
@_runs(60)
def test_the_tolerant_path_equals_the_fast_one(records: list[dict[str, Any]]) -> None:
    """Records decoded one by one give the same rows and drift as a whole page."""
    sent = [_bytes(r) for r in records]
    fast_drift, slow_drift = DriftLog(), DriftLog()
    fast, slow = decode(sent, fast_drift), decoding._one_by_one(sent, slow_drift)
    assert (fast.numbers, fast.rejected) == (slow.numbers, slow.rejected)
    assert fast_drift.seen == slow_drift.seen
    unforeseen = {"id": 1, "new": None}
    mixed = decode([*sent, _bytes(unforeseen)], DriftLog())
    assert mixed.numbers == fast.numbers


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in the value with each of its keys or indexes."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += [(value, key), *_places(inner)]
    return found


@st.composite
def _spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """A record with any JSON value put into any place of it, or a field more or less."""
    record = draw(RECORD)
    container, key = draw(st.sampled_from(_places(record)))
    if isinstance(container, dict) and draw(st.booleans()):
        container.pop(key)
    else:
        container[key] = draw(JSON)
    if draw(st.booleans()):
        record[draw(st.text(max_size=5))] = draw(JSON)
    return record


@given(_spoiled() | JSON)
@_runs(120)
def test_any_json_is_decoded_or_rejected(record: object) -> None:
    """D05-D09: whatever stands anywhere in a record, it becomes rows, or is rejected with a place and a reason."""
    sent = _bytes(record)
    drift = DriftLog()
    decoded = decode([sent], drift)
    assert len(decoded.numbers) + len([r for r in decoded.rejected if r.whole]) == 1
    for rejected in decoded.rejected:
        assert rejected.path.startswith("$")
        assert rejected.reason
    assert {rejected.record for rejected in decoded.rejected[:1]} <= {sent}
    rows = Normalizer(drift).rows(decoded.numbers)
    assert len(rows["virtual_numbers"]) == len(decoded.numbers)
    sorted(drift.seen)


@given(_spoiled())
@_runs(60)
def test_nothing_that_was_sent_is_dropped(record: dict[str, Any]) -> None:
    """D03: every field of a decoded number is in a column or in `extra`."""
    for number in decode([_bytes(record)], DriftLog()).numbers:
        kept = set(number.extra or {}) | {f.name for f in msgspec.structs.fields(number)}
        assert set(msgspec.json.decode(_bytes(record))) <= kept


@given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda b: b'{"id": 5, "comment": "' + b + b'"}'))
@_runs(60)
def test_any_bytes_are_decoded_or_rejected(record: bytes) -> None:
    """Bytes that are not JSON or not UTF-8 are rejected without another exception."""
    decoded = decode([record], DriftLog())
    assert all(r.reason and r.path.startswith("$") for r in decoded.rejected)
