"""D, without a database: faults that JSON decoders may have, and that this decoder does not have."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.transform.decode import Rejected, decode
from etl.transform.drift import DriftLog
from etl.transform.extras import deeper_than
from etl.transform.repeats import repeated_key

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from('":\\{}, \n\t\u007f\u2028'), max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(TEXT, inner), max_size=5).map(tuple),
    max_leaves=20,
)
STYLES = st.tuples(st.sampled_from([",", ", ", ",\n\t"]), st.sampled_from([":", " : ", ":\r\n"]), st.booleans())


def _dump(value: Any, style: tuple[str, str, bool]) -> str:
    """JSON of a document whose objects are tuples of pairs, so that a name may come twice."""
    comma, colon, escaped = style
    if isinstance(value, tuple):
        pairs = (json.dumps(k, ensure_ascii=escaped) + colon + _dump(v, style) for k, v in value)
        return "{" + comma.join(pairs) + "}"
    if isinstance(value, list):
        return "[" + comma.join(_dump(item, style) for item in value) + "]"
    return json.dumps(value, ensure_ascii=escaped)


def _repeats(value: Any) -> bool:
    if isinstance(value, tuple):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(_repeats(item) for _, item in value)
    return isinstance(value, list) and any(map(_repeats, value))


@given(DOCUMENTS, STYLES)
@settings(max_examples=400, deadline=None)
@pytest.mark.fault("D12")
def test_keys_that_come_twice_are_found_exactly(document: Any, style: tuple[str, str, bool]) -> None:
    """HY: in any JSON and spelling: found if there are any, and never if there are none."""
    sent = _dump(document, style).encode()
    assert (repeated_key(sent, msgspec.json.decode(sent)) is not None) == _repeats(document)


FIELDS = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "virtual_phone_number": st.none() | TEXT,
        "status": st.none() | TEXT,
        "category": TEXT,
        "type": TEXT,
        "campaigns": st.lists(
            st.fixed_dictionaries(
                {"campaign_id": st.integers(-5, 5), "site_blocks": st.just([])}, optional={"campaign_name": TEXT}
            ),
            max_size=3,
        ),
        "scenarios": st.just([]),
    },
    optional={"comment": st.none() | TEXT, "name": TEXT, "child_customer_id": st.none() | st.integers(-5, 5)},
)


@given(st.lists(FIELDS, min_size=1, max_size=3), STYLES, st.data())
@settings(max_examples=300, deadline=None)
@pytest.mark.fault("D12")
def test_the_fast_way_rejects_the_same_records(records: list[Any], style: tuple[str, str, bool], data: Any) -> None:
    """HY: whole pages: a record is rejected if and only if it has a duplicate key; the others of its page are read."""
    spoiled = data.draw(st.sets(st.integers(0, len(records) - 1)))
    bodies = []
    for n, record in enumerate(records):
        pairs = list(_paired(record))
        if n in spoiled:
            again = data.draw(st.sampled_from(pairs))
            pairs.insert(data.draw(st.integers(0, len(pairs))), again)
        bodies.append(_dump(tuple(pairs), style).encode())
    decoded = decode(bodies, DriftLog())
    assert [r.record for r in decoded.rejected] == [bodies[n] for n in sorted(spoiled)]
    assert [n.id for n in decoded.numbers] == [r["id"] for n, r in enumerate(records) if n not in spoiled]


def _paired(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((name, _paired(item)) for name, item in value.items())
    return [_paired(item) for item in value] if isinstance(value, list) else value


WRONG: dict[str, st.SearchStrategy[Any]] = {
    "id": st.none() | st.booleans() | TEXT | st.floats(-9, 9) | st.just([]) | st.integers(2**63, 2**80),
    "virtual_phone_number": st.booleans() | st.integers() | st.floats(-9, 9) | st.just([]) | st.just({}),
    "campaigns": st.none() | st.integers() | TEXT | st.just({}),
    "comment": st.booleans() | st.integers() | st.just({"a": 1}),
    "child_customer_id": st.booleans() | TEXT | st.floats(-9, 9) | st.integers(2**63, 2**80),
}


@given(FIELDS, st.sampled_from(sorted(WRONG)), st.data())
@settings(max_examples=300, deadline=None)
@pytest.mark.fault("D05", "D07")
def test_nothing_of_another_type_is_coerced(record: Any, name: str, data: Any) -> None:
    """HY: 1.0, true, "1", an object for a list, an integer beyond 64 bits: rejected, and the place is named."""
    body = json.dumps(record | {name: data.draw(WRONG[name])}).encode()
    decoded = decode([body], DriftLog())
    assert decoded.numbers == []
    (rejected,) = decoded.rejected
    assert isinstance(rejected, Rejected)
    assert rejected.path.startswith(f"$.{name}")
    assert rejected.virtual_number_id == (None if name == "id" else record["id"])


NO_ELEMENT: st.SearchStrategy[object] = st.none() | st.booleans() | st.integers() | TEXT | st.just([]) | st.just({})


@given(FIELDS, st.sampled_from(["campaigns", "scenarios"]), st.lists(NO_ELEMENT, min_size=1, max_size=4), st.data())
@settings(max_examples=100, deadline=None)
@pytest.mark.fault("A07")
def test_the_other_elements_are_read_wherever_unusable_ones_stand(
    record: Any, name: str, wrong: list[Any], data: Any
) -> None:
    """HY: the number equals the one without them, and each of them is rejected under its place."""
    elements = [(element, True) for element in record[name]]
    for element in wrong:
        elements.insert(data.draw(st.integers(0, len(elements))), (element, False))
    sent = json.dumps(record | {name: [element for element, _ in elements]}).encode()
    decoded, without = decode([sent], DriftLog()), decode([json.dumps(record).encode()], DriftLog())
    assert decoded.numbers == without.numbers
    places = [f"$.{name}[{n}]" for n, (_, usable) in enumerate(elements) if not usable]
    assert [r.path.partition("].")[0].rstrip("]") + "]" for r in decoded.rejected] == places
    assert {r.virtual_number_id for r in decoded.rejected} == {record["id"]}


@given(st.integers(0, 90), st.integers(1, 90), st.booleans())
@pytest.mark.fault("D11")
def test_depth_is_counted_to_the_level(depth: int, most: int, objects: bool) -> None:
    """HY: arrays and objects count in the same way, also empty ones."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if objects else [value, 2]
    assert deeper_than(value, most) == (depth > most)
