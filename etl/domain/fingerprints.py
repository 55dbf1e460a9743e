"""What the last sync of an account remembers of its listing: digests, so that bytes that came again are not read again.

A shortcut and nothing else: every part of it may be forgotten at any time, and the next sync reads that part anew.
What is remembered of a record means: these bytes are what the number's current rows were made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from etl.domain.windows import Window

DIGEST = 16
"""Bytes of a record's digest."""

DriftEntry = tuple[str, str, str]
"""A departure of the source: path, kind, value."""


@dataclass(frozen=True)
class Records:
    """The records of a window, one by one: ids, their digests end to end, and the keys of their phones."""

    ids: Sequence[int]
    digests: bytes
    phones: Sequence[int]

    def places(self) -> dict[bytes, int]:
        """Where in the window the record with a digest is."""
        starts = range(0, len(self.digests), DIGEST)
        return {self.digests[start : start + DIGEST]: place for place, start in enumerate(starts)}


@dataclass(frozen=True, kw_only=True)
class WindowPrint:
    """A window as it was listed. `digest`: of all its records' bytes; empty when they must be read in any case.

    `numbers`: how many it held; `control_ids`: ids to prove by; `drift_entries`: of its records; `records`: each for
    itself, fetched when asked for.
    """

    window: Window
    digest: bytes
    numbers: int
    control_ids: tuple[int, ...]
    drift_entries: tuple[DriftEntry, ...]
    records: Callable[[], Records]


@dataclass(frozen=True, kw_only=True)
class ListingPrint:
    """An account as it was listed: its windows, ascending, and the departures that only all numbers together show."""

    windows: tuple[WindowPrint, ...] = ()
    drift_entries: tuple[DriftEntry, ...] = ()
