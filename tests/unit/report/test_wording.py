"""Words and figures for people, and the function that makes untrusted text safe to print."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.domain.instants import parse_instant
from etl.report.wording import asked, counted, lasting, moment, named, printable, thousands


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Acme", "Acme"),
        ("Café Zoë — 東京 «Пушкин» متجر", "Café Zoë — 東京 «Пушкин» متجر"),
        ("one\ntwo\r", "one\\x0atwo\\x0d"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202ecba", "abc\\u202ecba"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("lone\ud800", "lone\\ud800"),
        ("tab\tnul\0", "tab\\x09nul\\x00"),
    ],
)
def test_printable_escapes_what_could_deceive(text: str, shown: str) -> None:
    """Control, bidi and invisible characters become visible; letters of every script stay."""
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_printable_is_one_harmless_line(text: str) -> None:
    """Any text becomes one line without control or format characters."""
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_printable_cuts_off() -> None:
    """A text longer than the limit ends in an ellipsis, and takes no more than the limit."""
    assert printable("x" * 301) == "x" * 299 + "…"
    assert printable("x" * 300) == "x" * 300


@pytest.mark.parametrize(
    ("name", "text"),
    [(None, "account 7"), ("Acme", 'account 7 "Acme"'), ('A": 5 read "', 'account 7 "A\\": 5 read \\""')],
)
def test_account_s_name_is_quoted(name: str | None, text: str) -> None:
    """A name cannot pretend to be the rest of the sentence."""
    assert named(7, name) == text


def test_whole_numbers_are_grouped() -> None:
    """Groups of three; nouns agree; a missing number is a dash."""
    assert [thousands(n) for n in (0, 999, 10_000, 1_234_567, None)] == ["0", "999", "10 000", "1 234 567", "-"]
    assert [counted(n, "row") for n in (0, 1, 1000)] == ["0 rows", "1 row", "1 000 rows"]
    assert counted(2, "retry", "retries") == "2 retries"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (3.14, "3.1 s"),
        (75, "75 s"),
        (720, "12 min"),
        (7200, "2 h"),
        (93_900, "26 h 5 min"),
        (172_800, "2 d"),
        (266_400, "3 d 2 h"),
    ],
)
def test_lengths_of_time_in_the_units_that_matter(seconds: float, text: str) -> None:
    """From tenths of seconds to days."""
    assert lasting(seconds) == text


@pytest.mark.parametrize("fraction", [0, 1, 999_999])
def test_a_moment_that_was_asked_for_is_told_exactly(fraction: int) -> None:
    """It can be asked for again, and means the same."""
    instant = datetime(2026, 11, 23, 19, 36, 38, fraction, tzinfo=UTC)
    assert parse_instant(asked(instant)) == instant


def test_moments_are_utc_to_the_second() -> None:
    """Rounded up to the whole second, so that the moment includes its observation; a dash for none."""
    assert moment(datetime(2026, 11, 23, 19, 36, 38, tzinfo=UTC)) == "2026-11-23 19:36:38"
    assert moment(datetime(2026, 11, 23, 19, 36, 38, 1, tzinfo=UTC)) == "2026-11-23 19:36:39"
    assert moment(datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == "2027-01-01 00:00:00"
    assert moment(None) == "-"
