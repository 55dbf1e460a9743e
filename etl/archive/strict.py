"""Strict JSON decoder of the archive: no unknown field, no name twice in an object, one spelling of instants."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_type_hints

import msgspec

T = TypeVar("T", bound=msgspec.Struct)
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.(?!000000)[0-9]{6})?Z")


def strictly(text: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode `text`. Raises `ValueError` when the decoder refuses it, or when its spelling is not the expected one."""
    try:
        found = decoder.decode(text)
        plain = json.loads(bytes(text), object_pairs_hook=_each_once, parse_int=str, parse_float=str)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(str(exc)) from None
    for name in _instants(type(found)):
        if isinstance(value := plain.get(name), str) and not INSTANT.fullmatch(value):
            raise ValueError(f"{name} is not an instant in UTC that ends with Z")
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise ValueError("an object has the same name twice")
    return out


@cache
def _instants(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Fields that are instants."""
    return tuple(name for name, hint in get_type_hints(kind).items() if hint in (datetime, datetime | None))
