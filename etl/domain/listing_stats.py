"""What a listing counted, and which of the numbers that the source announced did not come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice

from etl.domain.runs import Strategy
from etl.domain.windows import WHOLE, Window
from etl.errors import SourceUnusable

MOST_UNACCOUNTED = 0.5
"""Share of the numbers announced by an answer that may stay out of it; beyond that it is no answer to believe."""


@dataclass
class ListingStats:
    """The counts of a listing, in numbers: for the account's row in `account_syncs`."""

    strategy: Strategy = Strategy.WINDOWS
    reported_total: int = 0
    listed: int = 0
    unaccounted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    _short: dict[Window, int] = field(default_factory=dict, init=False, repr=False)
    """How many did not come of what a window announced, for those that were short."""
    _nameless: Counter[Window] = field(default_factory=Counter, init=False, repr=False)
    """How many records of a window came without a usable id."""

    def announced(self, total: int, unaccounted: int, window: Window = WHOLE) -> None:
        """A window announced `total` numbers, and so many of them did not come. Raises `SourceUnusable`: too many."""
        if unaccounted > max(1, total * MOST_UNACCOUNTED):
            came = total - unaccounted
            raise SourceUnusable(f"the listing cannot be trusted: {came} numbers came of {total} announced")
        self.reported_total += total
        self.unaccounted += unaccounted
        if unaccounted:
            self._short[window] = unaccounted

    def unreadable(self, records: int, window: Window) -> None:
        """So many records of a window came without a usable id."""
        self._nameless[window] += records

    def found_alive(self, ids: Collection[int]) -> None:
        """These were not listed, and came when they were asked for."""
        self.listed += len(ids)
        self._short = {window: _still_missing(window, missing, ids) for window, missing in self._short.items()}
        self.unaccounted = sum(self._short.values())

    def doubtful(self, gone: Iterable[int]) -> set[int]:
        """Of numbers that seem gone, as many as a window that holds them owes: the lowest ids, the same every day.

        A window owes a number for each that it announced and did not give, and for each record without a usable id.
        """
        ids, doubtful = sorted(gone), set[int]()
        for window in (self._short.keys() | self._nameless.keys()) if ids else ():
            owed = self._short.get(window, 0) + self._nameless[window]
            doubtful.update(islice(filter(window.holds, ids), owed))
        return doubtful


def _still_missing(window: Window, unaccounted: int, alive: Collection[int]) -> int:
    """How many of the numbers that a window announced and did not give are still not known.

    Where more came alive than were missing, some have come back since; nothing then says which were meant.
    """
    came = sum(map(window.holds, alive))
    return unaccounted - came if came <= unaccounted else unaccounted
