"""What the source sends and the declared record does not foresee: collected once per kind, not once per row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LONGEST_VALUE = 200
MOST_VALUES = 100
"""How many different unknown values of one field are told apart; a field of free text must not flood the report."""


class DriftKind(StrEnum):
    """How the source departs from its documentation."""

    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_VALUE = "unknown_value"
    MISSING_FIELD = "missing_field"
    CHANGED_TYPE = "changed_type"


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
        self._values: dict[str, int] = {}

    def note(self, path: str, kind: DriftKind, value: str = "") -> None:
        """Remember a departure."""
        drift = Drift(path, kind, value[:LONGEST_VALUE])
        if drift in self.seen:
            return
        if kind is DriftKind.UNKNOWN_VALUE:
            self._values[path] = self._values.get(path, 0) + 1
            if self._values[path] > MOST_VALUES:
                return
        self.seen.add(drift)
