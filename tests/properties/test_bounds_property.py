"""Counting of values in JSON text, against a decoder."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.domain.bounds import has_more_values

TEXTS = st.text(st.sampled_from('a,[]{}":\\\n'), max_size=6)
VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def _count(value: object) -> int:
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return len(items) + sum(map(_count, items))


@given(VALUES)
@pytest.mark.fault("E04")
def test_values_are_counted_exactly(value: object) -> None:
    """Every element and member counts once, whatever stands in strings."""
    text = json.dumps(value, separators=(",", ":")).encode()
    count = _count(value)
    assert not has_more_values(text, count)
    assert count == 0 or has_more_values(text, count - 1)


@given(st.binary(max_size=40) | st.text(st.sampled_from('a,[]{}":\\'), max_size=40).map(str.encode))
@pytest.mark.fault("E04")
def test_text_that_is_no_json_is_counted_too(text: bytes) -> None:
    """Undecoded bytes of any kind are counted without an error, at most by their commas and brackets."""
    assert not has_more_values(text, sum(map(text.count, (b",", b"[", b"{"))))
