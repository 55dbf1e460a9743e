"""Drift: what the source sends and the declared record does not have, collected once per kind, not once per row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, KeysView
from contextlib import contextmanager
from enum import StrEnum

from msgspec import Struct

LONGEST_VALUE = 200
"""Characters kept of a path or value: both are part of a key, and an index holds no more than 2 704 bytes of one."""
MOST_VALUES = 100
"""How many different unknown values of one field, and how many unknown fields, are recorded: a field of free text, or
an object whose names are data, must not flood the report."""


class DriftKind(StrEnum):
    """Kinds of difference between the source and its documentation."""

    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_VALUE = "unknown_value"
    MISSING_FIELD = "missing_field"
    CHANGED_TYPE = "changed_type"
    REPEATED_VALUE = "repeated_value"


_COUNTED = frozenset({DriftKind.UNKNOWN_FIELD, DriftKind.UNKNOWN_VALUE, DriftKind.REPEATED_VALUE})


class Drift(Struct, frozen=True, order=True):
    """One difference: the place (`$.campaigns[].weight`), the kind, and the value or type found (may be empty)."""

    path: str
    kind: DriftKind
    value: str = ""

    @property
    def plain(self) -> tuple[str, str, str]:
        """The drift entry as it is stored with the fingerprints."""
        return self.path, self.kind.value, self.value


class DriftLog:
    """Drift of one account sync, in the order in which it was found."""

    def __init__(self) -> None:
        self._seen: dict[Drift, None] = {}
        self._counts: Counter[tuple[DriftKind, str]] = Counter()
        self._part: DriftLog | None = None

    @property
    def seen(self) -> KeysView[Drift]:
        """The differences, each once."""
        return self._seen.keys()

    def note(self, path: str, kind: DriftKind, value: str = "") -> None:
        """Record a difference."""
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
    def block_log(self) -> Iterator[DriftLog]:
        """A second log, which records the drift of this block alone."""
        part = self._part = DriftLog()
        try:
            yield part
        finally:
            self._part = None
