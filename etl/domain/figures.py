"""Whole numbers in sentences: grouped, and with their noun by count."""

from __future__ import annotations

from datetime import timedelta


def thousands(number: int | None) -> str:
    """A whole number in groups of three: `10 000`; a dash when there is none."""
    return "-" if number is None else f"{number:,}".replace(",", " ")


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: `1 row`, `12 000 rows`."""
    return f"{thousands(number)} {singular if number == 1 else plural or singular + 's'}"


def duration(length: timedelta) -> str:
    """A length of time in the largest unit that gives a whole number: `20 hours`, `90 minutes`."""
    for unit, singular in _UNITS:
        if length % unit == timedelta(0):
            return counted(length // unit, singular)
    return f"{length.total_seconds():g} seconds"


_UNITS = (
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
    (timedelta(seconds=1), "second"),
)
