"""Limits in points: the successful calls that an account may make in a minute and in a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from etl.sandbox.failures import Failure

MINUTE, DAY = 60, 86_400


@dataclass(slots=True)
class RateWindow:
    """Limit of points for each period of `seconds`, counted from the epoch. None: no limit."""

    name: str
    seconds: int
    limit: int | None
    _spent: int = 0
    _period: int = -1

    def remaining(self, now: float) -> int | None:
        """Points left in the current period."""
        self._roll(now)
        return None if self.limit is None else max(0, self.limit - self._spent)

    def spend(self, now: float) -> None:
        """Take a point from the current period."""
        self._roll(now)
        self._spent += 1

    def metadata(self, now: float) -> dict[str, int]:
        """The limit, its remaining points and the seconds until its reset; empty without a limit."""
        remaining = self.remaining(now)
        if self.limit is None or remaining is None:
            return {}
        reset = max(1, ceil(self.seconds - now % self.seconds))
        return {f"{self.name}_limit": self.limit, f"{self.name}_remaining": remaining, f"{self.name}_reset": reset}

    def _roll(self, now: float) -> None:
        period = int(now // self.seconds)
        if period != self._period:
            self._period, self._spent = period, 0


@dataclass(slots=True)
class Limits:
    """The two limits of an account. `now` gives seconds since the epoch."""

    now: Callable[[], float]
    minute_limit: int | None = None
    day_limit: int | None = None
    _windows: tuple[RateWindow, RateWindow] = field(init=False)

    def __post_init__(self) -> None:
        self._windows = (RateWindow("day", DAY, self.day_limit), RateWindow("minute", MINUTE, self.minute_limit))

    def check(self) -> None:
        """Raise limit_exceeded when no point is left; the day's limit is checked before the minute's."""
        now = self.now()
        for window in self._windows:
            if window.remaining(now) == 0:
                raise Failure("limit_exceeded", params={"limit_type": window.name})

    def spend(self) -> None:
        """Take the point of a successful call from both limits."""
        now = self.now()
        for window in self._windows:
            window.spend(now)

    def metadata(self) -> dict[str, Any]:
        """The `limits` member of metadata, as an object to be merged into it; empty when nothing is limited."""
        now = self.now()
        limits = {name: value for window in self._windows for name, value in window.metadata(now).items()}
        return {"limits": limits} if limits else {}
