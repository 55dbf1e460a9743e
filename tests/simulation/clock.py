"""Simulated time: it advances at every reading and during every pause, and may jump or stand still."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from tests.simulation.swarm import Swarm

START = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
YEAR = 365 * 86_400.0


class SimClock:
    """The wall clock and the monotonic clock of every process of a seed."""

    def __init__(self, rng: random.Random, swarm: Swarm) -> None:
        self._rng, self._swarm = rng, swarm
        self._wall, self._ticks = START, 0.0
        self.last = START
        self.readings: set[datetime] = set()
        """The results of `now` since this set was last emptied."""

    def now(self) -> datetime:
        """The wall clock, which may have been set meanwhile."""
        if not self._swarm.on("clock_stands") or self._rng.random() < 0.1:
            self._wall += timedelta(microseconds=self._rng.randrange(1, 2_000_000))
        if self._swarm.strikes("clock_back"):
            self.jump(-self._rng.choice((1, 3600, 86_400, YEAR)))
        if self._swarm.strikes("clock_forward"):
            self.jump(self._rng.choice((1, 3600, 86_400, YEAR)))
        self.last = self._wall
        self.readings.add(self._wall)
        return self._wall

    def jump(self, seconds: float) -> None:
        """Set the wall clock; the monotonic clock does not change."""
        year = (self._wall + timedelta(seconds=seconds)).year
        if 2001 < year < 2090:
            self._wall += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        """Seconds from some start; they never go back."""
        self._ticks += 0.001
        return self._ticks

    def sleep(self, seconds: float) -> None:
        """Advance the time instead of waiting."""
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        """Advance both clocks."""
        self._wall += timedelta(seconds=seconds)
        self._ticks += seconds
