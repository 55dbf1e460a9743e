"""Ports: the interfaces of time, randomness and event reports that the pipeline is given from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from etl.domain.events import Event

Report = Callable[[Event], None]
"""Receives each event as it happens: a progress display, a log, a test's list."""


class Clock(Protocol):
    """Time and waiting: the only source of both, so that simulation needs no patching."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some start; it never decreases."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...


class Random(Protocol):
    """Randomness for retries, run ids and the like."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...

    def randrange(self, stop: int, /) -> int:
        """A whole number in [0, stop)."""
        ...
