"""What the outside gives to the pipeline: time, and somebody who listens to what happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from etl.domain.events import Event

Report = Callable[[Event], None]
"""Takes each event as it happens: a progress display, a log, a test's list."""


class Clock(Protocol):
    """Time and waiting; the one source of both, so that simulation needs no patching."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from some start; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...


class Random(Protocol):
    """The randomness that retries and run ids need."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...

    def randrange(self, stop: int, /) -> int:
        """A whole number in [0, stop)."""
        ...
