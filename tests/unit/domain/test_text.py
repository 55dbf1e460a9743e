"""Text that a database cannot hold: U+0000 and lone surrogates are kept by one reversible encoding."""

from __future__ import annotations

import msgspec
import pytest

from etl.domain.text import original, storable


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (rb'"a\u0000b"', "a␀0000b"),
        (rb'"\ud800"', "␀d800"),
        (rb'"\uDFFF!"', "␀dfff!"),
        (rb'"\udc00\ud800"', "␀dc00␀d800"),
        (rb'"\ud800\ud83d\ude00"', "␀d800😀"),
        (rb'"\ud83d\ude00"', "😀"),
        ('"␀"'.encode(), "␀2400"),
        (rb'"\u2400"', "␀2400"),
        ('"␀0000"'.encode(), "␀24000000"),
        (rb'"\\u0000"', "\\u0000"),
        (rb'"\\\u0000"', "\\␀0000"),
        (rb'"\\\\ud800"', "\\\\ud800"),
        (rb'"\n\u000a\u0001"', "\n\n\x01"),
    ],
)
def test_what_is_stored_for_what_was_sent(sent: bytes, stored: str) -> None:
    """D08, D09: only characters that no database holds become U+2400 and four hex digits; pairs and escapes stay."""
    assert msgspec.json.decode(storable(sent)) == stored


def test_ordinary_json_is_not_even_copied() -> None:
    """The usual case costs one search and gives back the very same object."""
    body = '{"name": "Осень \\u0001 \\\\n", "emoji": "😀"}'.encode()
    assert storable(body) is body


def test_keys_are_kept_by_the_same_encoding() -> None:
    """Names of members are encoded as values are."""
    assert msgspec.json.decode(storable(rb'{"\u0000": "\ud800"}')) == {"␀0000": "␀d800"}


@pytest.mark.parametrize(
    ("stored", "sent"), [("a␀0000b", "a\0b"), ("␀d800", "\ud800"), ("␀2400", "␀"), ("␀24000000", "␀0000"), ("é", "é")]
)
def test_the_original_is_given_back(stored: str, sent: str) -> None:
    """The text that the source sent is recovered exactly from the stored text."""
    assert original(stored) == sent
