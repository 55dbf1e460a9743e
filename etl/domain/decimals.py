"""Decimal numbers of JSON, digit for digit: 1.10 stays 1.10, and nothing is rounded to a double.

They are written as PostgreSQL's JSONB writes them, in plain notation: 1.5e3 is 1500, and -0.0 is 0.0. Equal numbers are
one value, whatever their trailing zeros.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

MOST_DIGITS = 4_300
"""Most digits of one number: as many as Python reads in a whole number, and fewer than PostgreSQL holds (16 383 after
the point)."""
MOST_BY_EXPONENT = 400
"""Most digits that an exponent may produce, more than any double has: 1e-4000 must not turn 7 bytes into 4 000."""


def decimal(sent: str) -> Decimal:
    """The number as it was sent, without an exponent above 0 and without a negative zero.

    Raises `ValueError` if plain notation has too many digits; this is computed without writing them.
    """
    try:
        number = Decimal(sent)
    except InvalidOperation:
        raise _too_long() from None
    exponent = int(number.as_tuple().exponent)
    if not number:
        exponent = min(exponent, 0)
    digits = max(number.adjusted() if number else 0, 0) + 1 - min(exponent, 0)
    if digits > MOST_DIGITS or digits > max(MOST_BY_EXPONENT, len(sent)):
        raise _too_long()
    whole = Decimal(format(number, "f")) if exponent > 0 else number
    return whole if number else Decimal(0).scaleb(exponent)


def _too_long() -> ValueError:
    return ValueError("Number out of range: too many digits")


def plain_notation(sent: str) -> str:
    """The number in plain notation. Raises as `decimal` does."""
    return format(decimal(sent), "f")


def shortest_notation(sent: str) -> str:
    """The number in plain notation without trailing zeros of the fraction: the same text for equal numbers.

    Raises as `decimal` does.
    """
    text = plain_notation(sent)
    return text.rstrip("0").rstrip(".") if "." in text else text


def loads(text: str) -> Any:
    """A JSON text as Python values, numbers with a fraction or an exponent as `Decimal`. Raises `ValueError`."""
    return json.loads(text, parse_float=decimal)
