"""Phone numbers as people write them, compared with numbers as the source stores them."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"(?:tel:)?\+?[\d\s().\-/\u2010-\u2015\u00a0\u202f]+", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_SPOKEN_ZERO = re.compile(r"(?<=\d)\s*\(\s*0\s*\)")
"""The zero that is dialled only within the country, as in +44 (0)20."""
_ABROAD = ("00", "011", "810")
"""Prefixes for calls abroad, before a country's code: nearly everywhere, in North America, in Russia."""
_SHORTEST_ABROAD = 12
"""Fewest digits of a number with such a prefix: eleven digits may be a number of Russia or North America."""
_SHORTEST_TAIL = 7
"""Fewest digits of a number without country or area by which the end of a stored number is searched."""
_LONGEST_NATIONAL = 10
"""Most digits of a number without its country's code."""


def is_phone(text: str) -> bool:
    """Whether the text consists of digits, and of the signs that people write between them."""
    return _WRITTEN.fullmatch(text.strip()) is not None and _DIGIT.search(text) is not None


def digits(text: str) -> str:
    """Only the digits of the text, in ASCII; digits of other scripts are converted."""
    return "".join(str(int(c)) for c in text if c.isdecimal())


def spellings(text: str) -> tuple[str, ...]:
    """Forms in which the source may have stored the number: with or without +; 8, 7 or nothing before ten digits."""
    plain = _without_seven(_international(text))
    whole = [f"7{plain}", f"8{plain}", plain] if len(plain) == 10 else [plain]
    forms = dict.fromkeys([*whole, digits(text)])
    return tuple(form for one in forms for form in (one, f"+{one}"))


def is_national(text: str) -> bool:
    """Whether the country's code may be missing, so that numbers of several countries may match."""
    plain = digits(text)
    return len(plain.lstrip("0")) <= _LONGEST_NATIONAL


def tail(text: str) -> str | None:
    """The digits with which a matching stored number ends, without trunk zeros; None if they are too few."""
    plain = _without_seven(_international(text).lstrip("0"))
    return plain if len(plain) >= _SHORTEST_TAIL else None


def _international(text: str) -> str:
    """The digits without a zero for calls within the country, and without a prefix for calls abroad."""
    plain = digits(_SPOKEN_ZERO.sub("", text))
    dialled = next((code for code in _ABROAD if plain.startswith(code)), "")
    if "+" in text or len(plain) < _SHORTEST_ABROAD:
        return plain
    return plain.removeprefix(dialled)


def _without_seven(plain: str) -> str:
    """Ten Russian digits without the 7 or 8 before them."""
    return plain[1:] if len(plain) == 11 and plain[0] in "78" else plain
