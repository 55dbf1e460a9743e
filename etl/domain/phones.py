"""Phone numbers as people write them, compared with numbers as the source stores them."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"\+?[\d\s().\-/\u2010-\u2015\u00a0\u202f]+")
_DIGIT = re.compile(r"\d")
_SHORTEST_TAIL = 7
"""Digits at least, for a number without its country or area to be found by the end of a stored one."""


def is_phone(text: str) -> bool:
    """Whether the text is digits, with the signs that people put between them."""
    return _WRITTEN.fullmatch(text.strip()) is not None and _DIGIT.search(text) is not None


def digits(text: str) -> str:
    """Its ASCII digits alone; other scripts' digits are read as what they stand for."""
    return "".join(str(int(c)) for c in text if c.isdecimal())


def spellings(text: str) -> tuple[str, ...]:
    """How the source may have stored the number: with or without +, 8 or 7 or nothing before ten Russian digits."""
    plain = digits(text)
    if plain.startswith("00") and len(plain) > 11:  # dialled from abroad
        plain = plain[2:]
    if len(plain) == 11 and plain[0] in "78":
        plain = plain[1:]
    whole = [f"7{plain}", f"8{plain}", plain] if len(plain) == 10 else [plain]
    return tuple(form for one in whole for form in (one, f"+{one}"))


def tail(text: str) -> str | None:
    """The digits that a stored number must end with to be meant, trunk zeros left out; None when they are too few."""
    plain = digits(text).lstrip("0")
    if len(plain) == 11 and plain[0] in "78":
        plain = plain[1:]
    return plain if len(plain) >= _SHORTEST_TAIL else None
