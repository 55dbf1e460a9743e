"""Results as plain values that JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from etl.report.wording import is_unsafe


def plain(value: Any) -> Any:
    """A value for JSON: structs as objects, instants as ISO 8601 in UTC with a Z, enumerations as their text."""
    if value is None or type(value) in (int, str, bool):  # the usual case, first for speed
        return value
    if hasattr(value, "__struct_fields__"):  # msgspec need not be imported for `--help`
        return plain_but(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def plain_but(value: Any, *left_out: str) -> dict[str, Any]:
    """A struct as an object, without the fields `left_out`."""
    return {name: plain(getattr(value, name)) for name in value.__struct_fields__ if name not in left_out}


def as_json(value: Any) -> str:
    """JSON on one line that is safe to show: characters that could forge a line or control a terminal are escaped."""
    content = plain(value)
    try:
        text = json.dumps(content, ensure_ascii=False)
    except TypeError:
        text = _with_decimals(content)
    return "".join(json.dumps(c)[1:-1] if is_unsafe(c) else c for c in text)


def _with_decimals(value: Any) -> str:
    """JSON of a plain value that has a `Decimal` in it, which Python's own encoder refuses."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {_with_decimals(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_with_decimals, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def with_strings(value: Any, change: Callable[[str], str]) -> Any:
    """A plain value with every string in it changed, except the names of members."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: with_strings(item, change) for name, item in value.items()}
    return [with_strings(item, change) for item in value] if isinstance(value, list) else value


def iso(instant: datetime) -> str:
    """An aware instant in UTC: `2026-11-23T19:36:38.123456Z`."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
