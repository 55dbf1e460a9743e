"""The API's points: what `metadata.limits` says, and whether the next request may go, must wait, or cannot go today.

Pure: told of each answer, asked before each request. Every successful call costs one point. Requests may overlap: one
that is under way may or may not be counted in what another's answer says is left, so it is counted here, to be safe.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
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


@dataclass(frozen=True)
class Later:
    """Wait until a request that is under way has ended: its answer will tell whether there is a point for this one."""


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
    """The pace of one token, kept from the limits that answers tell. Unknown limits mean no pace."""

    def __init__(self) -> None:
        self._answers: list[tuple[int, Mapping[str, object]]] = []
        self._heard = self._under_way = 0
        self._unsure = True
        self._promised: dict[Hashable, int] = {}

    def sent(self) -> int:
        """A request goes out: a mark to give back when it has `ended`."""
        self._under_way += 1
        return self._heard

    def ended(self, owner: Hashable = None) -> None:
        """A request has ended, well or not; it was one of those promised to `owner`."""
        self._under_way -= 1
        if self._promised.get(owner):
            self._promised[owner] -= 1

    def heard(self, limits: object, sent: int | None = None) -> None:
        """Take the limits of the answer to a request with the mark `sent`; anything but an object is passed over.

        What was known when that request went out is outdated. Answers to requests that overlap come in any order: of
        those the lowest count is believed.
        """
        self._unsure = False
        if isinstance(limits, Mapping):
            self._heard += 1
            newer = [a for a in self._answers if sent is not None and a[0] > sent]
            self._answers = [*newer, (self._heard, limits)]

    @property
    def left(self) -> int | None:
        """Points left before the next wait or stop; None where nothing is limited."""
        left = [_number(self._lowest("minute").get("minute_remaining")), self.day_left()]
        known = [int(n) for n in left if n is not None]
        return min(known) if known else None

    def before_request(self) -> Pause | Spent | Later | None:
        """What to do before the next request; a pause is told once, for by its end the limits are new."""
        if self._under_way:
            left = self.left
            return Later() if self._unsure or (left is not None and left <= self._under_way) else None
        if self._day_is_spent():
            return Spent(_number(self._lowest("day").get("day_reset")))
        minute = self._lowest("minute")
        if _number(minute.get("minute_remaining")) == 0:
            self._forget_minute()
            return minute_pause(minute.get("minute_reset"))
        return None

    def _lowest(self, period: str) -> Mapping[str, object]:
        """The limits that leave least of the period; of equal ones the latest."""
        lowest: Mapping[str, object] = {}
        least = float("inf")
        for _, limits in reversed(self._answers):
            left = _number(limits.get(f"{period}_remaining"))
            if left is not None and left < least:
                lowest, least = limits, left
        return lowest or (self._answers[-1][1] if self._answers else {})

    def _forget_minute(self) -> None:
        """A minute that is waited out is over: the next request finds out what the new one allows, alone."""
        self._unsure = True
        self._answers = [
            (at, {k: v for k, v in limits.items() if not k.startswith("minute_")}) for at, limits in self._answers
        ]

    def _day_is_spent(self) -> bool:
        """None left of a day that has a limit and does not begin anew this second; else the source shall say so."""
        day = self._lowest("day")
        unlimited = _number(day.get("day_limit")) == 0
        renewed = _number(day.get("day_reset")) == 0
        return _number(day.get("day_remaining")) == 0 and not unlimited and not renewed

    def day_left(self) -> int | None:
        """Points left today; None where the day is not limited, or its limits make no sense."""
        left = _number(self._lowest("day").get("day_remaining"))
        return None if left is None or (left == 0 and not self._day_is_spent()) else int(left)

    # -- promises: whoever begins what takes several requests has their points set aside

    def fits(self, owner: Hashable, requests: int) -> bool:
        """Whether the day has points for so many requests of `owner` beside what is promised to others."""
        left = self.day_left()
        return left is None or self._left_for(owner, left) >= requests

    def promise(self, owner: Hashable, requests: int) -> None:
        """Set so many points of the day aside for `owner`, instead of those before."""
        self._promised[owner] = requests

    def release(self, owner: Hashable) -> None:
        """What was promised to `owner` is free again."""
        self._promised.pop(owner, None)

    @property
    def anybody_promised(self) -> bool:
        """Whether somebody has points set aside, or had when it began."""
        return bool(self._promised)

    def afford(self, owner: Hashable, requests: int) -> None:
        """Refuse `owner` to begin what cannot be finished today: half a listing costs points and publishes nothing."""
        left = self.day_left()
        if left is not None and (mine := self._left_for(owner, left)) < requests:
            raise TooFewPoints(
                f"the listing takes {requests} more API points, and {mine} are left of the day",
                remedy="Nothing was spent on the rest; run again when the day's points are back",
            )
        if owner in self._promised:
            self.promise(owner, requests)

    def _left_for(self, owner: Hashable, left: int) -> int:
        return max(0, left - sum(n for who, n in self._promised.items() if who != owner))


class TooFewPoints(TryLater):
    """What is left of the day does not suffice for this account; a smaller one may still fit."""
