"""The trace of a seed: every event in order, hashed; the same seed gives the same hash, on any day and machine."""

from __future__ import annotations

import hashlib


class Trace:
    """Takes events; keeps their hash, and their words when asked to."""

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
        """The hash of everything so far."""
        return self._hash.hexdigest()
