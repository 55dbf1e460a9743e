"""Spans in JSON text, compared with a decoder's result."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.domain import json_spans
from etl.domain.json_spans import NotJson

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
SPACES = st.sampled_from(["", " ", "\n\t ", "\r\n"])


def _written(value: Any, space: str, ascii_only: bool) -> bytes:
    text = json.dumps(value, separators=(f"{space},{space}", f"{space}:{space}"), ensure_ascii=ascii_only)
    return text.encode("utf-8", "surrogatepass")


@given(VALUES, SPACES, st.booleans())
def test_value_ends_where_it_ends(value: Any, space: str, ascii_only: bool) -> None:
    """Whatever stands behind it."""
    text = _written(value, space, ascii_only)
    assert json_spans.value_end(text + b" ,]}", 0) == len(text)


@given(st.dictionaries(st.text(), VALUES), SPACES, st.booleans())
def test_members_are_those_of_the_object(value: dict[str, Any], space: str, ascii_only: bool) -> None:
    """Names decoded, values byte for byte, in their order."""
    text = _written(value, space, ascii_only)
    found = {m.name: json.loads(text[m.begin : m.end].decode("utf-8", "surrogatepass")) for m in
             json_spans.members(text, 0)}  # fmt: skip
    assert found == value
    assert list(found) == list(value)


@given(st.lists(VALUES), SPACES, st.booleans())
def test_elements_are_those_of_the_array(value: list[Any], space: str, ascii_only: bool) -> None:
    """Each byte for byte, in their order."""
    text = _written(value, space, ascii_only)
    found = [json.loads(text[slice(*e)].decode("utf-8", "surrogatepass")) for e in json_spans.elements(text, 0)]
    assert found == value


def test_names_that_come_twice_and_what_decoders_refuse() -> None:
    """Each member by itself; half a surrogate pair, bytes that are no UTF-8, control characters and 1e400 are text."""
    text = b'{"a":"\\ud800","a":"\xff\x01","\\u0061":1e400,"b\xff":NaN}'
    found = [(m.name, text[m.begin : m.end]) for m in json_spans.members(text, 0)]
    assert found == [("a", b'"\\ud800"'), ("a", b'"\xff\x01"'), ("a", b"1e400"), ("b\udcff", b"NaN")]


@pytest.mark.parametrize("text", [b'{"a":1', b'{"a"}', b'{"a":}', b"{1:2}", b'{"a":1 "b":2}', b'{"a":"x', b'{"a":[}'])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    """With an error of its own, for a cut or mangled answer is nothing unusual."""
    with pytest.raises(NotJson):
        list(json_spans.members(text, 0))


def test_depth_costs_nothing() -> None:
    """A hundred thousand levels are no recursion."""
    deep = b"[" * 100_000 + b"]" * 100_000
    assert json_spans.value_end(deep, 0) == len(deep)
