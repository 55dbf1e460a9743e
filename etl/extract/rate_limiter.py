"""Rate limiter, shared by all threads that use a token: a request is sent only when there is a point for it."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from etl.domain.events import Waiting
from etl.domain.ports import Clock, Report
from etl.extract.api_errors import day_limit
from etl.extract.points import Later, Pause, Points, Spent

POLL_SECONDS = 0.25
"""Seconds between the checks of a thread that waits for other threads."""
LEAST_POINTS = 2
"""Fewest points that an account takes: one to describe it, one to list its numbers."""


class Turn:
    """Permission to send one request; it holds a point until the request has ended."""

    def __init__(self, pace: Pace, sent: int) -> None:
        self._pace, self._sent = pace, sent

    def received(self, limits: object) -> None:
        """Note the limits that its answer reports."""
        self._pace.received(limits, self._sent)


class Pace:
    """Points of one token, shared by threads. `owner`: the client that works on one account at a time."""

    def __init__(self) -> None:
        self.points = Points()
        self._changed = threading.Condition()
        self._pausing = 0

    @contextmanager
    def turn(self, owner: Hashable, clock: Clock, report: Report) -> Iterator[Turn]:
        """Wait until a request may be sent, and hold its point for the length of the block.

        Raises `DayLimit` if the day's points are used up.
        """
        turn = Turn(self, self._next(clock, report))
        try:
            yield turn
        finally:
            with self._changed:
                self.points.ended(owner)
                self._changed.notify_all()

    def received(self, limits: object, sent: int) -> None:
        """Note the limits that the answer reports to the request with the mark `sent`."""
        with self._changed:
            self.points.received(limits, sent)

    def pause(self, pause: Pause, clock: Clock, report: Report) -> None:
        """Wait, and make all other threads wait too."""
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
                    self._changed.wait(POLL_SECONDS)
            if isinstance(advice, Spent):
                raise day_limit(advice.reset)
            if isinstance(advice, Pause):
                self.pause(advice, clock, report)
            else:
                clock.monotonic()  # raises if the run is being stopped

    # -- several accounts at the same time

    @contextmanager
    def account(self, owner: Hashable, clock: Clock) -> Iterator[None]:
        """Reserve points of the day for an account while the block lasts.

        If they may not suffice for all accounts under way, the block begins when those have ended: the last points are
        then spent on whole accounts, not on the beginnings of many.
        """
        while not self._admitted(owner):
            clock.monotonic()  # raises if the run is being stopped
        try:
            yield
        finally:
            with self._changed:
                self.points.release(owner)
                self._changed.notify_all()

    def _admitted(self, owner: Hashable) -> bool:
        with self._changed:
            if self.points.fits(owner, LEAST_POINTS) or not self.points.any_promised:
                self.points.promise(owner, LEAST_POINTS)
                return True
            self._changed.wait(POLL_SECONDS)
            return False

    def afford(self, owner: Hashable, requests: int) -> None:
        """Raise `TooFewPoints` if the day has too few points for so many requests, besides those of other owners."""
        with self._changed:
            self.points.afford(owner, requests)
