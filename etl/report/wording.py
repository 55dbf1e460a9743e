"""Words and figures for people, and the functions that make text from outside safe to print."""

from __future__ import annotations

import unicodedata
from datetime import MAXYEAR, UTC, datetime, timedelta

from etl.domain.figures import counted as counted
from etl.domain.figures import thousands as thousands

_UNSAFE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories that can move the cursor, hide or reorder text, end a line, or have no defined look."""
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and symbols that are invisible."""


def printable(text: str, limit: int = 300) -> str:
    """Untrusted text in one line, safe to print: control, bidi and invisible characters are escaped.

    Text beyond `limit` characters is cut off, with an ellipsis.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    first = text[:1] if unicodedata.combining(text[:1] or " ") else ""  # it would change the character before it
    return "".join(map(_escaped, first)) + "".join(_escaped(c) if is_unsafe(c) else c for c in text[len(first) :])


def harmless(text: str) -> str:
    """Text of any number of lines, safe for a terminal: escapes the characters that `printable` does, but line ends."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(_escaped(c) if c != "\n" and is_unsafe(c) else c for c in text)


def is_unsafe(character: str) -> bool:
    """Whether the character can forge output: it moves, hides, reorders or ends text, or is invisible."""
    return unicodedata.category(character) in _UNSAFE or character in _INVISIBLE


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def named(account_id: int, name: str | None) -> str:
    """An account in a sentence: `account 101 "Acme"`."""
    return f"account {account_id}" if name is None else f"account {account_id} {quoted(name)}"


def quoted(name: str, limit: int = 80) -> str:
    """A name in double quotes, escaped so that it cannot close them; text beyond `limit` characters is cut off."""
    escaped = printable(name.replace("\\", "\\\\").replace('"', '\\"'), limit)
    return f'"{escaped}"'


def sentence(text: str) -> str:
    """The text with a full stop at its end."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def lasting(seconds: float) -> str:
    """A length of time in at most two units: `0.4 s`, `75 s`, `12 min`, `26 h 5 min`, `3 d 2 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def moment(instant: datetime | None) -> str:
    """The instant of an observation, given in UTC, rounded up to the second; a dash for None.

    Up, so that the warehouse as of the time shown includes that observation.
    """
    if instant is None:
        return "-"
    up = timedelta(microseconds=-instant.microsecond % 1_000_000 if instant.year < MAXYEAR else 0)
    return f"{instant + up:%Y-%m-%d %H:%M:%S}"


def asked(instant: datetime) -> str:
    """A moment that the user gave, in UTC, with the precision that it was given in."""
    return str(instant.astimezone(UTC).replace(tzinfo=None))
