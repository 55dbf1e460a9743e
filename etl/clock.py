"""Clock of this machine. No other module reads it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Clock of the operating system: wall clock, monotonic clock and sleep."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an unspecified start; the value never decreases."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        time.sleep(seconds)
