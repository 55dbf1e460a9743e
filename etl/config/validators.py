"""Validators: the values that a setting accepts, in words for people, and as a function that makes its value."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from etl.config.secrets import Secret

Reader = Callable[[object], Any]
"""Makes a value from the user's input. Raises `TypeError` for the wrong kind, `ValueError` for a refused value."""


class Accepted(Struct, frozen=True):
    """Values that a setting accepts; error messages repeat the description."""

    description: str
    read: Reader


def text(value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise TypeError
    return value


def secret(value: object) -> Secret:
    """A text that must not be shown."""
    return Secret(revealed(value))


def revealed(value: object) -> str:
    """Any text, also one that a caller has wrapped so that no traceback shows it."""
    return value.get_secret_value() if isinstance(value, Secret) else text(value)


def path(value: object) -> Path:
    """The path of a file or a folder, which need not exist; a leading ~ is the home folder."""
    try:
        return Path(text(value)).expanduser()
    except RuntimeError:  # no HOME, no such user
        raise ValueError("the home folder that ~ stands for is not known; write the path out") from None


def plain(value: object) -> object:
    """The user's input without the white space around it: files and Windows add line ends.

    Raises ValueError for control characters inside, and for bytes that are not UTF-8.
    """
    if isinstance(value, Secret):
        return Secret(text(plain(value.get_secret_value())))
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if not isinstance(value, str):
        return value
    value = value.strip()
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ValueError("it has a line end, another control character, or a byte that is not UTF-8 in it")
    return value


def checked(check: Callable[[str], str]) -> Reader:
    """A text as `check` returns it."""
    return lambda value: check(text(value))


def one_of(*words: str) -> Reader:
    """One of these words."""

    def read(value: object) -> str:
        if value not in words:
            raise TypeError
        return str(value)

    return read


def pairs(value: object) -> Mapping[int, int]:
    """A mapping of whole numbers: from a table, or from texts such as 51=512, single or separated by commas."""
    if isinstance(value, Mapping):
        written = [f"{k}={v}" for k, v in value.items() if not isinstance(v, bool)]
    elif isinstance(value, tuple | list):
        written = [text(one) for one in value]
    else:
        written = text(value).split(",")
    found: dict[int, int] = {}
    for pair in written:
        key, equals, number = pair.partition("=")
        if not equals or not key.strip().isdecimal() or not number.strip().isdecimal():
            raise TypeError
        found[int(key)] = int(number)
    return found


def number(kind: type[float], fits: Callable[[float], bool]) -> Reader:
    """A number of this kind for which `fits` is true; quoted text is read as a number."""

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, str | kind | int):
            raise TypeError
        try:
            found = kind(value)
        except ValueError as error:
            raise TypeError from error
        if not fits(found):
            raise TypeError
        return found

    return read
