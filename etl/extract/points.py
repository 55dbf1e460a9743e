"""The API's points: what `metadata.limits` says, and whether the next request may go, must wait, or cannot go today.

Pure: told of each answer, asked before each request. Every successful call costs one point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from etl.errors import TryLater

MINUTE = 60.0
SHORTEST_WAIT = 1.0
LONGEST_MINUTE_WAIT = 120.0
_ENOUGH = 10**15
"""More than any limit; a larger number counts as this one, for not every one is a float."""


@dataclass(frozen=True)
class Pause:
    """Wait this many seconds before the next request."""

    seconds: float


@dataclass(frozen=True)
class Spent:
    """The day's points are used up; they come back in this many seconds, as the source says (None: it does not)."""

    reset: float | None


def _number(value: object) -> float | None:
    """A limit as a number of at least 0; None for what is absent or makes no sense."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return float(min(value, _ENOUGH))


def minute_pause(reset: object) -> Pause:
    """How long a minute limit is waited out: the reset and a second, never less than one, never absurdly long."""
    seconds = _number(reset)
    if seconds is None:
        return Pause(MINUTE + SHORTEST_WAIT)
    return Pause(min(seconds, LONGEST_MINUTE_WAIT) + SHORTEST_WAIT)


class Points:
    """The pace of one token, kept from the last answer's limits. Unknown limits mean no pace."""

    def __init__(self) -> None:
        self._limits: Mapping[str, object] = {}

    def heard(self, limits: object) -> None:
        """Take the limits of an answer; anything but an object is passed over."""
        if isinstance(limits, Mapping):
            self._limits = limits

    @property
    def left(self) -> int | None:
        """Points left before the next wait or stop; None where nothing is limited."""
        left = [_number(self._limits.get("minute_remaining")), self.day_left()]
        known = [int(n) for n in left if n is not None]
        return min(known) if known else None

    def before_request(self) -> Pause | Spent | None:
        """What to do before the next request; a pause is told once, for by its end the limits are new."""
        if self._day_is_spent():
            return Spent(_number(self._limits.get("day_reset")))
        if _number(self._limits.get("minute_remaining")) == 0:
            pause = minute_pause(self._limits.get("minute_reset"))
            self._limits = {k: v for k, v in self._limits.items() if not k.startswith("minute_")}
            return pause
        return None

    def _day_is_spent(self) -> bool:
        """None left of a day that has a limit and does not begin anew this second; else the source shall say so."""
        unlimited = _number(self._limits.get("day_limit")) == 0
        renewed = _number(self._limits.get("day_reset")) == 0
        return _number(self._limits.get("day_remaining")) == 0 and not unlimited and not renewed

    def day_left(self) -> int | None:
        """Points left today; None where the day is not limited, or its limits make no sense."""
        left = _number(self._limits.get("day_remaining"))
        return None if left is None or (left == 0 and not self._day_is_spent()) else int(left)


class TooFewPoints(TryLater):
    """What is left of the day does not suffice for this account; a smaller one may still fit."""


def afford(points: Points, requests: int) -> None:
    """Refuse to begin what cannot be finished today: half a listing costs points and publishes nothing."""
    left = points.day_left()
    if left is not None and left < requests:
        raise TooFewPoints(
            f"the listing takes {requests} more API points, and {left} are left of the day",
            remedy="Nothing was spent on the rest; run again when the day's points are back",
        )
