"""Points of the API: the limits in `metadata.limits`, and whether the next request may go now, later, or not today.

Pure: it takes the limits of each answer and is asked before each request. Every successful call costs one point.
Requests may overlap: an answer may or may not count another request that is under way, so those are counted here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from msgspec import Struct

from etl.domain.figures import counted
from etl.errors import TryLater

MINUTE = 60.0
SHORTEST_WAIT = 1.0
LONGEST_MINUTE_WAIT = 120.0
_ENOUGH = 10**15
"""More than any limit. A larger number counts as this one, because not every number fits into a float."""


class Pause(Struct, frozen=True):
    """Wait this many seconds before the next request."""

    seconds: float


class Spent(Struct, frozen=True):
    """The day's points are used up. `reset`: seconds until they are back, as the source reports; None: unknown."""

    reset: float | None


class Later(Struct, frozen=True):
    """Wait until a request under way has ended: its answer shows whether there is a point for this one."""


def _number(value: object) -> float | None:
    """A limit as a number of at least 0; None if it is absent or unusable."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return float(min(value, _ENOUGH))


def minute_pause(reset: object) -> Pause:
    """Pause for a minute limit: the reset and one second more, at least one second, at most about two minutes."""
    seconds = _number(reset)
    if seconds is None:
        return Pause(MINUTE + SHORTEST_WAIT)
    return Pause(min(seconds, LONGEST_MINUTE_WAIT) + SHORTEST_WAIT)


class Points:
    """Points of one token, from the limits that answers report. While these are unknown, requests are not slowed."""

    def __init__(self) -> None:
        self._answers: list[tuple[int, Mapping[str, object]]] = []
        self._received = self._under_way = 0
        self._unsure = True
        self._promised: dict[Hashable, int] = {}

    def _key(self, owner: Hashable) -> Hashable:
        """The name under which an owner's points are kept."""
        return owner

    def sent(self, owner: Hashable = None) -> int:
        """Count a request of `owner` that is sent. Returns its mark, which `received` takes."""
        self._under_way += 1
        return self._received

    def ended(self, owner: Hashable = None, *, answered: bool = False) -> None:
        """Count a request that has ended, successful or not. `answered`: `received` has noted its answer."""
        self._under_way -= 1
        if not answered:
            self._used(owner)

    def _used(self, owner: Hashable) -> None:
        """Count one of the points reserved for `owner` as used."""
        if self._promised.get(key := self._key(owner)):
            self._promised[key] -= 1

    def paused(self, seconds: float) -> None:
        """Note that the source asked for a pause; the threads of one process wait for each other anyway."""

    def received(self, limits: object, sent: int | None = None, owner: Hashable = None) -> None:
        """Note the limits of the answer to the request with the mark `sent`; anything but an object is ignored.

        They count the point that the request used, so it is no longer reserved for `owner`: until the request ends,
        others would find it missing twice. They replace the limits that were known when that request was sent. Answers
        to overlapping requests come in any order: the lowest count of them is used.
        """
        self._unsure = False
        self._used(owner)
        if isinstance(limits, Mapping):
            self._received += 1
            newer = [a for a in self._answers if sent is not None and a[0] > sent]
            self._answers = [*newer, (self._received, limits)]

    @property
    def left(self) -> int | None:
        """Points left before the next wait or stop; None if nothing is limited."""
        left = [_number(self._lowest("minute").get("minute_remaining")), self.day_left()]
        known = [int(n) for n in left if n is not None]
        return min(known) if known else None

    def before_request(self) -> Pause | Spent | Later | None:
        """Action before the next request; None: send it. A pause is returned once: at its end the limits are new."""
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
        """The limits that leave the fewest points of the period; of equal ones the latest."""
        lowest: Mapping[str, object] = {}
        least = float("inf")
        for _, limits in reversed(self._answers):
            left = _number(limits.get(f"{period}_remaining"))
            if left is not None and left < least:
                lowest, least = limits, left
        return lowest or (self._answers[-1][1] if self._answers else {})

    def _forget_minute(self) -> None:
        """Forget the limits of a minute that is over: the next request is sent alone and finds out the new ones."""
        self._unsure = True
        self._answers = [
            (at, {k: v for k, v in limits.items() if not k.startswith("minute_")}) for at, limits in self._answers
        ]

    def _day_is_spent(self) -> bool:
        """Whether a limited day has no points left and does not restart this second; if unsure, the source decides."""
        day = self._lowest("day")
        unlimited = _number(day.get("day_limit")) == 0
        renewed = _number(day.get("day_reset")) == 0
        return _number(day.get("day_remaining")) == 0 and not unlimited and not renewed

    def day_left(self) -> int | None:
        """Points left today; None if the day is not limited, or its limits are unusable."""
        left = _number(self._lowest("day").get("day_remaining"))
        return None if left is None or (left == 0 and not self._day_is_spent()) else int(left)

    @property
    def day_limit(self) -> int | None:
        """Points of a whole day; None if the day is not limited."""
        limit = _number(self._lowest("day").get("day_limit"))
        return int(limit) if limit else None

    @property
    def day_reset(self) -> float | None:
        """Seconds until the day's points are back, as of the last answer; None if the source does not say."""
        return _number(self._lowest("day").get("day_reset"))

    # -- promises: points that are reserved for work that takes several requests

    def fits(self, owner: Hashable, requests: int) -> bool:
        """Whether the day has points for so many requests of `owner` besides those promised to others."""
        left = self.day_left()
        return left is None or self._left_for(owner, left) >= requests

    def promise(self, owner: Hashable, requests: int) -> None:
        """Reserve so many points of the day for `owner`; they replace its earlier reservation."""
        self._promised[self._key(owner)] = requests

    def release(self, owner: Hashable) -> None:
        """Free the points that were promised to `owner`."""
        self._promised.pop(self._key(owner), None)

    @property
    def any_promised(self) -> bool:
        """Whether an owner has a reservation, even one that is used up."""
        return bool(self._promised)

    def afford(self, owner: Hashable, requests: int) -> None:
        """Raise `TooFewPoints` if `owner` cannot finish today: half a listing costs points and publishes nothing."""
        left = self.day_left()
        if left is not None and (mine := self._left_for(owner, left)) < requests:
            are = "is" if mine == 1 else "are"
            raise TooFewPoints(
                f"the listing takes {counted(requests, 'more API point')}, and only {mine} {are} left today",
                remedy="Nothing was spent on the rest; run again when the day's points are back",
            )
        if self._key(owner) in self._promised:
            self.promise(owner, requests)

    def _left_for(self, owner: Hashable, left: int) -> int:
        return max(0, left - sum(n for who, n in self._promised.items() if who != self._key(owner)))


class TooFewPoints(TryLater):
    """The points left today do not suffice for this account; a smaller one may still fit."""
