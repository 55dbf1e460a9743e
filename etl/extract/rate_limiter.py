"""One pace for all threads that spend a token's points: a request goes out when there is a point for it, not before."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from etl.domain.events import Waiting
from etl.domain.ports import Clock, Report
from etl.extract.api_errors import day_limit
from etl.extract.points import Later, Pause, Points, Spent

LOOK = 0.25
"""Seconds after which one who waits for others looks whether it still has to."""
LEAST = 2
"""Points that an account takes at least: who it is, and its numbers."""


class Turn:
    """A request that may go: it has its point until it ends."""

    def __init__(self, pace: Pace, sent: int) -> None:
        self._pace, self._sent = pace, sent

    def heard(self, limits: object) -> None:
        """Take the limits of its answer."""
        self._pace.heard(limits, self._sent)


class Pace:
    """A token's points, shared by threads. `owner` is whoever works on one account at a time."""

    def __init__(self) -> None:
        self.points = Points()
        self._changed = threading.Condition()
        self._pausing = 0

    @contextmanager
    def turn(self, owner: Hashable, clock: Clock, report: Report) -> Iterator[Turn]:
        """Wait until a request may go, and hold its point for the length of the block.

        Raises `DayLimit` when the day's points are used up.
        """
        turn = Turn(self, self._next(clock, report))
        try:
            yield turn
        finally:
            with self._changed:
                self.points.ended(owner)
                self._changed.notify_all()

    def heard(self, limits: object, sent: int) -> None:
        """Take the limits of the answer to the request with the mark `sent`."""
        with self._changed:
            self.points.heard(limits, sent)

    def pause(self, pause: Pause, clock: Clock, report: Report) -> None:
        """Wait, and let everybody else wait too."""
        with self._changed:
            self._pausing += 1
        try:
            report(Waiting(seconds=pause.seconds, reason="the minute's API points are used up"))
            clock.sleep(pause.seconds)
        finally:
            with self._changed:
                self._pausing -= 1
                self._changed.notify_all()

    def _next(self, clock: Clock, report: Report) -> int:
        while True:
            with self._changed:
                advice = Later() if self._pausing else self.points.before_request()
                if advice is None:
                    return self.points.sent()
                if isinstance(advice, Later):
                    self._changed.wait(LOOK)
            if isinstance(advice, Spent):
                raise day_limit(advice.reset)
            if isinstance(advice, Pause):
                self.pause(advice, clock, report)
            else:
                clock.monotonic()  # where the run is being stopped, this raises

    # -- accounts beside each other

    @contextmanager
    def account(self, owner: Hashable, clock: Clock) -> Iterator[None]:
        """Set points of the day aside for an account while the block lasts.

        Where they may not suffice for all that are under way, it begins when those have ended: as one after the other,
        the last points are spent on whole accounts, not on the beginnings of many.
        """
        while not self._admitted(owner):
            clock.monotonic()  # as above
        try:
            yield
        finally:
            with self._changed:
                self.points.release(owner)
                self._changed.notify_all()

    def _admitted(self, owner: Hashable) -> bool:
        with self._changed:
            if self.points.fits(owner, LEAST) or not self.points.anybody_promised:
                self.points.promise(owner, LEAST)
                return True
            self._changed.wait(LOOK)
            return False

    def afford(self, owner: Hashable, requests: int) -> None:
        """Refuse to begin what takes more requests than the day has points for, beside what others were promised.

        Raises `TooFewPoints`.
        """
        with self._changed:
            self.points.afford(owner, requests)
