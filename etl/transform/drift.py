"""What the source sends and the declared record does not foresee: collected once per kind, not once per row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

LONGEST_VALUE = 200
"""Characters kept of a path or value: both are part of a key, and an index holds no more than 2 704 bytes of one."""
MOST_VALUES = 100
"""How many different unknown values of one field, and how many unknown fields, are told apart: a field of free text, or
an object with names made from data, must not flood the report."""


class DriftKind(StrEnum):
    """How the source departs from its documentation."""

    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_VALUE = "unknown_value"
    MISSING_FIELD = "missing_field"
    CHANGED_TYPE = "changed_type"
    REPEATED_VALUE = "repeated_value"


_COUNTED = frozenset({DriftKind.UNKNOWN_FIELD, DriftKind.UNKNOWN_VALUE, DriftKind.REPEATED_VALUE})


@dataclass(frozen=True, order=True)
class Drift:
    """One departure: where (`$.campaigns[].weight`), what kind, and the value or type that was met (may be empty)."""

    path: str
    kind: DriftKind
    value: str = ""


class DriftLog:
    """The departures met in one account sync."""

    def __init__(self) -> None:
        self.seen: set[Drift] = set()
        self._counts: Counter[tuple[DriftKind, str]] = Counter()

    def note(self, path: str, kind: DriftKind, value: str = "") -> None:
        """Remember a departure."""
        drift = Drift(path[:LONGEST_VALUE], kind, value[:LONGEST_VALUE])
        if drift in self.seen:
            return
        group = (kind, "" if kind is DriftKind.UNKNOWN_FIELD else drift.path)
        if kind in _COUNTED and self._counts[group] == MOST_VALUES:
            return
        self._counts[group] += 1
        self.seen.add(drift)
