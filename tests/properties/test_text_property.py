"""The encoding of characters that databases cannot hold, over any JSON string."""

from __future__ import annotations

import json

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl.domain.text import MARK, original, storable

BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be."""
ANY_TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from('\0\ud800\udfff␀\\"u024d8/'))


def _paired(text: str) -> str:
    """The text as JSON means it: a high surrogate before a low one is one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _json(text: str) -> bytes:
    return json.dumps(text).encode()


@given(ANY_TEXT)
@example("\0")
@example("\ud800\udc00")
@example("\udc00\ud800")
@example("␀0000")
@example("\\u0000")
@example("\\\ud800")
@example("␀␀2400")
@BUSY
def test_any_string_comes_back_as_it_was_sent(text: str) -> None:
    """Escaped in any way: the stored text gives back exactly the text that was sent."""
    stored = msgspec.json.decode(storable(_json(text)), type=str)
    assert original(stored) == _paired(text)


@given(st.text())
@BUSY
def test_unescaped_text_comes_back_as_it_was_sent(text: str) -> None:
    """Sent as UTF-8, with only what JSON demands escaped."""
    stored = msgspec.json.decode(storable(json.dumps(text, ensure_ascii=False).encode()), type=str)
    assert original(stored) == text


@given(ANY_TEXT)
@BUSY
def test_what_is_stored_fits_both_databases(text: str) -> None:
    """No U+0000 and nothing that is not UTF-8 is left."""
    stored = msgspec.json.decode(storable(_json(text)), type=str)
    assert "\0" not in stored
    assert stored.encode().decode() == stored


@given(ANY_TEXT, ANY_TEXT)
@BUSY
def test_different_strings_stay_different(one: str, other: str) -> None:
    """The encoding never makes two keys or values of the source equal."""
    stored = [msgspec.json.decode(storable(_json(text))) for text in (one, other)]
    assert (stored[0] == stored[1]) == (_paired(one) == _paired(other))


@given(st.text(st.characters(exclude_characters="\0" + MARK, exclude_categories=["Cs"])))
@BUSY
def test_ordinary_text_is_stored_as_it_is(text: str) -> None:
    """Only the three special cases are touched: names, emoji, bidi marks and combining marks are not."""
    assert msgspec.json.decode(storable(_json(text))) == text


@given(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4))
@BUSY
def test_structure_is_untouched(value: dict[str, str]) -> None:
    """Keys and values are encoded where they stand, and nothing else of the JSON moves."""
    sent = json.loads(json.dumps(value))
    stored = msgspec.json.decode(storable(json.dumps(value).encode()))
    assert {original(k): original(v) for k, v in stored.items()} == sent
