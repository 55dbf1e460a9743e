"""Check of one JSON object, a number's record or an element of it: all the reasons why it may be unusable."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from etl.domain.decimals import decimal
from etl.domain.json_spans import DEEPEST
from etl.transform.drift import LONGEST_VALUE
from etl.transform.extras import deeper_than, without_extras
from etl.transform.records import Number
from etl.transform.repeats import repeated_key

Struct = TypeVar("Struct", bound=msgspec.Struct)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Errors for an object that cannot be used. In msgspec's messages the place follows the reason."""

_LENGTH = len("YYYY-MM-DD hh:mm:ss")
_exact = msgspec.json.Decoder(float_hook=decimal)


def checked(sent: bytes, kind: type[Struct], deepest: int = DEEPEST) -> tuple[Struct, Any]:
    """The struct of an object, and all its fields as plain values, with decimals digit for digit.

    Raises one of `UNREADABLE`.
    """
    fields = _exact.decode(sent)
    if (name := repeated_key(sent, fields)) is not None:
        raise msgspec.ValidationError(f"the field `{_cut(name)}` comes twice in one object")
    if deeper_than(fields, deepest):
        raise msgspec.ValidationError(f"nested in more than {DEEPEST} levels")
    try:
        made = msgspec.convert(without_extras(fields, kind), kind)
    except msgspec.ValidationError as exc:  # JSON calls this type a float
        raise msgspec.ValidationError(str(exc).replace("got `decimal`", "got `float`")) from None
    if isinstance(made, Number) and not has_valid_date(made):
        reason = f"not a date and time: {_cut(repr(made.activation_date))}"
        raise msgspec.ValidationError(f"{reason} - at `$.activation_date`")
    return made, fields


def has_valid_date(number: Number) -> bool:
    """Whether the activation date is a date and time; the types check the other fields."""
    sent = number.activation_date
    return not isinstance(sent, str) or is_local_time(sent)


def is_local_time(sent: str) -> bool:
    """Whether the text is a time as the API writes it, and Python too: `YYYY-MM-DD hh:mm:ss`."""
    try:
        time = datetime.fromisoformat(sent)
    except ValueError:
        return False
    return len(sent) == _LENGTH and str(time) == sent and time.year < 9999


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
