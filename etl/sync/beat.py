"""Beat of a resident sync: when the next run is due, by the clock and by the day's points. Pure."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

DAY = timedelta(days=1)
JITTER = 0.05
"""Largest delay of a run, as a share of the beat: processes that began together do not ask all at once."""
UNKNOWN_RESET = 3600.0
"""Seconds until points are looked for again, where the source does not say when they come back."""


class Beat(Struct, frozen=True):
    """A beat of `every` seconds from `start`, in seconds of a monotonic clock."""

    every: float
    start: float

    def next(self, now: float, chance: float) -> float:
        """Seconds to wait for the next run. `chance`: from 0 to 1.

        Runs do not drift, however long they take; a run that takes longer than a beat leaves out those in between.
        """
        passed = int((now - self.start) // self.every)
        return self.start + (passed + 1) * self.every + chance * JITTER * self.every - now

    def after(self, pause: float, now: float, chance: float) -> float:
        """Seconds to wait for the first run that is due after `pause` seconds."""
        return pause + self.next(now + pause, chance)


def is_affordable(left: int | None, cost: int) -> bool:
    """Whether the day's points suffice for a run that takes `cost` requests. `left`: None where they are unlimited."""
    return left is None or left >= cost


def points_a_day(cost: int, every: timedelta) -> int:
    """Points that a beat takes in a day, at `cost` for each run."""
    return cost * -(-DAY // every)
