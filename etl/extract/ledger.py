"""Ledger of a token's points: where they are kept, and how they are changed by many at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from etl.extract.points import Pause, Points, Spent

T = TypeVar("T")

FLIGHT_AGE = 120.0
"""Seconds after which a request under way no longer holds a point: its process may have died."""
PROMISE_AGE = 900.0
"""The same for points that are reserved for an account."""
_KEPT = frozenset(f"{period}_{what}" for period in ("minute", "day") for what in ("limit", "remaining", "reset"))
_PERIODS = {"minute": 60.0, "day": 86_400.0}
"""Seconds of a period, where the source does not say when it ends."""

Row = Callable[[Callable[[str, float], str]], None]
"""Changes the stored state in one transaction: the function gets it (empty at first) and the time in seconds."""


class Ledger(Protocol):
    """Points of a token. `points`: as they were at the last change."""

    points: Points

    def change(self, act: Callable[[Points], T]) -> T:
        """Change the points; nobody else changes them meanwhile."""
        ...


class OwnLedger:
    """Points of this process alone; its threads hold a lock around each change."""

    def __init__(self) -> None:
        self.points = Points()

    def change(self, act: Callable[[Points], T]) -> T:
        """Change the points."""
        return act(self.points)


class SharedLedger:
    """Points of all processes of a token, in one row of the warehouse. `process`: a name that no other process has."""

    def __init__(self, row: Row, process: str) -> None:
        self._row, self._process = row, process
        self.points: Points = SharedPoints({}, 0.0, process)

    def change(self, act: Callable[[Points], T]) -> T:
        """Change the points in one transaction."""
        results: list[T] = []

        def apply(text: str, now: float) -> str:
            points = SharedPoints(_state(text), now, self._process)
            results[:] = [act(points)]
            self.points = points
            return json.dumps(points.state())

        self._row(apply)
        return results[-1]


def _state(text: str) -> dict[str, Any]:
    """The stored state; an empty one where it cannot be read, for then the next answers restore it."""
    try:
        state = json.loads(text or "{}")
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


class SharedPoints(Points):
    """Points as of `now` (seconds), restored from a state that processes share. Each names its owners by its own name.

    What is out of date is dropped: limits of a period that is over, and requests and reservations whose process has
    not been heard of for long.
    """

    def __init__(self, state: Mapping[str, Any], now: float, process: str) -> None:
        super().__init__()
        self._now, self._process = now, process
        self._paused_until = float(state.get("paused_until", 0.0))
        self._received, self._unsure = int(state.get("received", 0)), bool(state.get("unsure", True))
        self._flights = {o: at for o, at in state.get("flights", {}).items() if now - at < FLIGHT_AGE}
        self._under_way = len(self._flights)
        promised = {o: (n, at) for o, (n, at) in state.get("promised", {}).items() if now - at < PROMISE_AGE}
        self._promised = {owner: n for owner, (n, _) in promised.items()}
        self._promised_at = {owner: at for owner, (_, at) in promised.items()}
        self._answers = [(mark, self._in_force(limits)) for mark, limits in state.get("answers", [])]

    def state(self) -> dict[str, Any]:
        """The state to store: plain values."""
        return {
            "paused_until": self._paused_until,
            "received": self._received,
            "unsure": self._unsure,
            "flights": self._flights,
            "promised": {owner: (n, self._promised_at.get(owner, self._now)) for owner, n in self._promised.items()},
            "answers": [(mark, dict(limits)) for mark, limits in self._answers],
        }

    def _in_force(self, limits: Mapping[str, Any]) -> Mapping[str, Any]:
        """Limits without those of a period that is over. After a minute's the next request finds out the new ones."""
        found = dict(limits)
        for period, seconds in _PERIODS.items():
            reset = found.get(f"{period}_reset")
            length = reset if isinstance(reset, int | float) and reset > 0 else seconds
            if self._now - found.get("at", 0.0) <= length:
                continue
            over = [name for name in found if name.startswith(f"{period}_")]
            for name in over:
                del found[name]
            self._unsure |= period == "minute" and bool(over)
        return found

    def _key(self, owner: Hashable) -> Hashable:
        return f"{self._process}:{id(owner) if owner is not None else ''}"

    # -- changes, with their time

    def sent(self, owner: Hashable = None) -> int:
        """Count a request that is sent."""
        self._flights[str(self._key(owner))] = self._now
        return super().sent(owner)

    def ended(self, owner: Hashable = None, *, answered: bool = False) -> None:
        """Count a request that has ended."""
        super().ended(owner, answered=answered)
        self._flights.pop(str(self._key(owner)), None)
        self._under_way = len(self._flights)
        if (key := str(self._key(owner))) in self._promised:
            self._promised_at[key] = self._now

    def received(self, limits: object, sent: int | None = None, owner: Hashable = None) -> None:
        """Note the limits of an answer; what is no limit is not stored."""
        if isinstance(limits, Mapping):
            limits = {"at": self._now} | {name: value for name, value in limits.items() if name in _KEPT}
        super().received(limits, sent, owner)

    def promise(self, owner: Hashable, requests: int) -> None:
        """Reserve points of the day."""
        super().promise(owner, requests)
        self._promised_at[str(self._key(owner))] = self._now

    def before_request(self) -> Any:
        """Action before the next request. A pause concerns all processes."""
        if self._paused_until > self._now:
            return Pause(self._paused_until - self._now)
        advice = super().before_request()
        if isinstance(advice, Pause):
            self.paused(advice.seconds)
        if isinstance(advice, Spent) and advice.reset is not None:
            return Spent(max(0.0, advice.reset - self._age()))
        return advice

    def paused(self, seconds: float) -> None:
        """Let no process ask for so many seconds."""
        self._paused_until = max(self._paused_until, self._now + seconds)

    def _age(self) -> float:
        """Seconds since the limits of the day were told."""
        return max(0.0, self._now - float(str(self._lowest("day").get("at", self._now))))

    def day_ends_at(self) -> float | None:
        """When the day's points are back, in seconds since 1970; None if the source does not say."""
        reset = self.day_reset
        return None if reset is None else self._now - self._age() + reset


class DayPoints(Struct, frozen=True):
    """Points of a day. `ends_at`: when all are back, in seconds since 1970; None if unknown."""

    left: int
    limit: int | None
    ends_at: float | None


def day_points(stored: str, now: float) -> DayPoints | None:
    """The day's points in a stored state, as of `now` (seconds since 1970).

    None if the day is not limited, if its limits are unknown, or if it has ended since they were told.
    """
    points = SharedPoints(_state(stored), now, process="")
    left = points.day_left()
    return None if left is None else DayPoints(left, points.day_limit, points.day_ends_at())
