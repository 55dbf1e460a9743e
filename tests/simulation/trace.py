"""Trace of a seed: a hash of all events in order; the same seed gives the same hash, on any day and machine."""

from __future__ import annotations

import hashlib


class Trace:
    """Collects events: their hash, and their texts if wanted."""

    def __init__(self, *, keep: bool = False) -> None:
        self._hash = hashlib.sha256()
        self.lines: list[str] | None = [] if keep else None
        self.count = 0

    def note(self, event: str) -> None:
        """Add an event."""
        self.count += 1
        self._hash.update(event.encode("utf-8", "backslashreplace") + b"\n")
        if self.lines is not None:
            self.lines.append(event)

    @property
    def digest(self) -> str:
        """The hash of all events so far."""
        return self._hash.hexdigest()
