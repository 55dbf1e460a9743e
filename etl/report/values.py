"""Results as plain values, ready to be written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Dataclasses as objects, instants as ISO 8601 in UTC with a Z, enumerations as their text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def iso(instant: datetime) -> str:
    """An aware instant in UTC: `2026-11-23T19:36:38.123456Z`."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
