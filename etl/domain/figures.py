"""Whole numbers in sentences: grouped, and with their noun by count."""

from __future__ import annotations


def thousands(number: int | None) -> str:
    """A whole number in groups of three: `10 000`; a dash when there is none."""
    return "-" if number is None else f"{number:,}".replace(",", " ")


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: `1 row`, `12 000 rows`."""
    return f"{thousands(number)} {singular if number == 1 else plural or singular + 's'}"
