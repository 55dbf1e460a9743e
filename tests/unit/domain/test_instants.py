"""Instants and phone numbers as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from etl.domain.instants import parse_instant
from etl.domain.phones import digits, is_phone, spellings, tail

NINE = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T09:30:00Z",
        "2026-01-31 09:30",
        "2026-01-31T12:30:00+03:00",
        "2026-01-31T12:30+0300",
        "2026-01-31t09:30:00.000000z",
        " 2026-01-31T04:00:00-05:30 ",
    ],
)
def test_an_instant_in_any_zone_is_the_same_instant(text: str) -> None:
    """With an offset it is that instant, without one it is UTC."""
    assert parse_instant(text) == NINE
    assert parse_instant(text).utcoffset() == NINE.utcoffset()


@pytest.mark.parametrize(
    ("text", "hour", "day"), [("2026-01-31", 0, 31), ("2026-01-31Z", 0, 31), ("2026-01-31+03:00", 21, 30)]
)
def test_a_date_is_its_first_moment(text: str, hour: int, day: int) -> None:
    """A date stands for the instant at which it begins, in UTC or in its zone."""
    assert parse_instant(text) == datetime(2026, 1, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2026", "2026-13-01", "2026-02-30", "20260131", "2026-W05-6", "2026-01-31T25:00", "31.01.2026",
        "2026-01-31T09:30:00+25:00", "0001-01-01T00:00:00+23:00", "2026-01-31T09:30 Moscow", "٢٠٢٦-٠١-٣١",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    """Any other text is refused, and the message states the accepted forms."""
    with pytest.raises(ValueError, match="write 2026-01-31"):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    ["+7 (495) 123-45-67", "8 495 123 45 67", "84951234567", "7-495-123-45-67", "(495) 123.45.67", "+7 495 123–45–67"],
)
def test_every_spelling_of_a_russian_number_meets_every_way_it_may_be_stored(text: str) -> None:
    """With 7, with 8, with + or with none of them: one of the looked-up spellings is the stored one."""
    assert is_phone(text)
    assert {"74951234567", "84951234567", "4951234567", "+74951234567"} <= set(spellings(text))
    assert tail(text) == "4951234567"


def test_other_countries_numbers_are_looked_up_as_they_are() -> None:
    """Only Russian numbers have a trunk digit to exchange; an international prefix is left out."""
    assert spellings("+44 20 7946 0958") == ("442079460958", "+442079460958")
    for dialled in ("00442079460958", "01144 20 79460958", "8-10-44-20-7946-0958"):
        assert spellings(dialled)[:2] == ("442079460958", "+442079460958")
        assert digits(dialled) in spellings(dialled)
    assert tail("020 7946 0958") == "2079460958"
    assert tail("12-34") is None


@pytest.mark.parametrize("text", ["", "abc", "+", "12a", "1; drop table x", "1\x1b[2J", "--"])
def test_what_is_no_number_is_known_as_such(text: str) -> None:
    """Letters, signs alone and control characters are neither a phone number nor an id."""
    assert not is_phone(text)


def test_digits_of_other_scripts_are_digits() -> None:
    """A number typed in full-width or Arabic digits is the same number."""
    assert digits("٧٤٩٥ １２３") == "7495123"
