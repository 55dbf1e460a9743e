"""Counts of a listing, and of the numbers that the source announced but did not send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice

from etl.domain.runs import Strategy
from etl.domain.windows import WHOLE, Window
from etl.errors import SourceUnusable

MOST_UNACCOUNTED = 0.5
"""Largest share of the announced numbers that may be missing in an answer; beyond it the answer is not trusted."""


@dataclass
class ListingStats:
    """Counts of a listing, in numbers: for the account's row in `account_syncs`."""

    strategy: Strategy = Strategy.WINDOWS
    reported_total: int = 0
    listed: int = 0
    unaccounted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    _short: dict[Window, int] = field(default_factory=dict, init=False, repr=False)
    """How many of the announced numbers did not come, for each window that was short."""
    _without_id: Counter[Window] = field(default_factory=Counter, init=False, repr=False)
    """How many records of each window came without a usable id."""

    def announced(self, total: int, unaccounted: int, window: Window = WHOLE) -> None:
        """Note that `unaccounted` of a window's `total` numbers did not come. Raises `SourceUnusable` if too many."""
        if unaccounted > max(1, total * MOST_UNACCOUNTED):
            came = total - unaccounted
            raise SourceUnusable(f"the listing cannot be trusted: {came} of {total} announced numbers came")
        self.reported_total += total
        self.unaccounted += unaccounted
        if unaccounted:
            self._short[window] = unaccounted

    def unreadable(self, records: int, window: Window) -> None:
        """Note how many records of a window came without a usable id."""
        self._without_id[window] += records

    def found_alive(self, ids: Collection[int]) -> None:
        """Note numbers that were not listed, but came when they were asked for."""
        self.listed += len(ids)
        self._short = {window: _still_missing(window, missing, ids) for window, missing in self._short.items()}
        self.unaccounted = sum(self._short.values())

    def doubtful(self, gone: Iterable[int]) -> set[int]:
        """Numbers that seem gone but may be the missing ones of their window: the lowest ids, the same every day.

        A window misses one number for each that it announced and did not send, and for each record without an id.
        """
        ids, doubtful = sorted(gone), set[int]()
        for window in (self._short.keys() | self._without_id.keys()) if ids else ():
            missing = self._short.get(window, 0) + self._without_id[window]
            doubtful.update(islice(filter(window.holds, ids), missing))
        return doubtful


def _still_missing(window: Window, unaccounted: int, alive: Collection[int]) -> int:
    """How many of the numbers that a window announced and did not send are still unknown.

    If more numbers turned out alive than were missing, some have returned since, and it is unknown which were missing.
    """
    came = sum(map(window.holds, alive))
    return unaccounted - came if came <= unaccounted else unaccounted
