"""What the source sends and the declared record does not foresee: collected once per kind, not once per row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, KeysView
from contextlib import contextmanager
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

    @property
    def plain(self) -> tuple[str, str, str]:
        """The departure as what is remembered of it."""
        return self.path, self.kind.value, self.value


class DriftLog:
    """The departures met in one account sync, in the order in which they were met."""

    def __init__(self) -> None:
        self._seen: dict[Drift, None] = {}
        self._counts: Counter[tuple[DriftKind, str]] = Counter()
        self._part: DriftLog | None = None

    @property
    def seen(self) -> KeysView[Drift]:
        """The departures, each once."""
        return self._seen.keys()

    def note(self, path: str, kind: DriftKind, value: str = "") -> None:
        """Remember a departure."""
        drift = Drift(path[:LONGEST_VALUE], kind, value[:LONGEST_VALUE])
        self._add(drift)
        if self._part is not None:
            self._part._add(drift)

    def _add(self, drift: Drift) -> None:
        if drift in self._seen:
            return
        group = (drift.kind, "" if drift.kind is DriftKind.UNKNOWN_FIELD else drift.path)
        if drift.kind in _COUNTED and self._counts[group] == MOST_VALUES:
            return
        self._counts[group] += 1
        self._seen[drift] = None

    @contextmanager
    def apart(self) -> Iterator[DriftLog]:
        """What is noted within the block, also by itself: as a log of that alone would have it."""
        part = self._part = DriftLog()
        try:
            yield part
        finally:
            self._part = None
