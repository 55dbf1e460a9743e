"""Rate limiter, shared by all threads that use a token: a request is sent only when there is a point for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from etl.domain.events import Waiting
from etl.domain.ports import Clock, Report
from etl.extract.api_errors import day_limit
from etl.extract.ledger import Ledger, OwnLedger
from etl.extract.points import Later, Pause, Points, Spent

T = TypeVar("T")

POLL_SECONDS = 0.25
"""Seconds between the checks of a thread that waits for other threads."""
LEAST_POINTS = 2
"""Fewest points that an account takes: one to describe it, one to list its numbers."""


class Turn:
    """Permission to send one request; it holds a point until the request has ended."""

    def __init__(self, pace: Pace, sent: int, owner: Hashable) -> None:
        self._pace, self._sent, self._owner = pace, sent, owner
        self.answered = False
        """Whether the limits of its answer are noted."""

    def received(self, limits: object) -> None:
        """Note the limits that its answer reports."""
        owner, self.answered = None if self.answered else self._owner, True
        self._pace.received(limits, self._sent, owner)


class Pace:
    """Points of one token, shared by threads, and by processes if the `ledger` is.

    `owner`: the client that works on one account at a time.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger or OwnLedger()
        self._changed = threading.Condition()
        self._pausing = 0

    @contextmanager
    def turn(self, owner: Hashable, clock: Clock, report: Report) -> Iterator[Turn]:
        """Wait until a request may be sent, and hold its point for the length of the block.

        Raises `DayLimit` if the day's points are used up.
        """
        turn = Turn(self, self._next(owner, clock, report), owner)
        try:
            yield turn
        finally:
            self._change(lambda points: points.ended(owner, answered=turn.answered))

    @property
    def points(self) -> Points:
        """The points, as they were when this process last changed them."""
        return self._ledger.points

    def now(self) -> Points:
        """The points as they are now."""
        self._change(lambda _: None)
        return self.points

    def _change(self, act: Callable[[Points], T]) -> T:
        """Change the points, and let waiting threads look again."""
        with self._changed:
            result = self._ledger.change(act)
            self._changed.notify_all()
        return result

    def received(self, limits: object, sent: int, owner: Hashable) -> None:
        """Note the limits that the answer reports to the request of `owner` with the mark `sent`."""
        self._change(lambda points: points.received(limits, sent, owner))

    def pause(self, pause: Pause, clock: Clock, report: Report) -> None:
        """Wait, and make all other threads wait too."""
        with self._changed:
            self._pausing += 1
            self._ledger.change(lambda points: points.paused(pause.seconds))
        try:
            report(Waiting(seconds=pause.seconds, reason="the minute's API points are used up"))
            clock.sleep(pause.seconds)
        finally:
            with self._changed:
                self._pausing -= 1
                self._changed.notify_all()

    def _next(self, owner: Hashable, clock: Clock, report: Report) -> int:
        def ask(points: Points) -> int | Pause | Spent | Later:
            advice = points.before_request()
            return points.sent(owner) if advice is None else advice

        while True:
            with self._changed:
                advice = Later() if self._pausing else self._ledger.change(ask)
                if isinstance(advice, int):
                    return advice
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
            self._change(lambda points: points.release(owner))

    def _admitted(self, owner: Hashable) -> bool:
        def ask(points: Points) -> bool:
            admitted = points.fits(owner, LEAST_POINTS) or not points.any_promised
            if admitted:
                points.promise(owner, LEAST_POINTS)
            return admitted

        with self._changed:
            if self._ledger.change(ask):
                return True
            self._changed.wait(POLL_SECONDS)
            return False

    def afford(self, owner: Hashable, requests: int) -> None:
        """Raise `TooFewPoints` if the day has too few points for so many requests, besides those of other owners.

        Raises `DayLimit` if it has none: then no account can be listed, however small.
        """

        def ask(points: Points) -> None:
            if points.day_left() == 0:
                raise day_limit(points.day_reset)
            points.afford(owner, requests)

        self._change(ask)
