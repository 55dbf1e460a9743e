"""Retry policy of the network: for transient errors only, bounded in tries and in total time, with jitter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity
from msgspec import Struct

from etl.domain.events import Waiting
from etl.domain.ports import Clock, Random, Report
from etl.errors import Transient, VnsyncError

T = TypeVar("T")

TRIES = 8
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """Exponential backoff with full jitter; `max_seconds` bounds one request with all its retries."""

    clock: Clock
    random: Random
    report: Report
    max_seconds: float = 300.0

    def call(self, attempt: Callable[[], T], on_retry: Callable[[], None]) -> T:
        """Result of `attempt`, which is repeated while it raises `Transient`; the last error is raised unchanged."""
        start = self.clock.monotonic()
        loop = tenacity.Retrying(
            sleep=self.clock.sleep,
            retry=tenacity.retry_if_exception_type(Transient),
            wait=self._wait,
            stop=lambda state: self._over(state, start),
            before_sleep=lambda state: self._report_wait(state, on_retry),
            reraise=True,
        )
        return loop(attempt)

    def pause(self, error: VnsyncError, on_retry: Callable[[], None]) -> None:
        """Wait before the only other try after this error. Raises it if there is no time for that."""
        seconds = self._backoff(1)
        if seconds > self.max_seconds:
            raise error
        on_retry()
        self.report(Waiting(seconds=seconds, reason=str(error), retry=1))
        self.clock.sleep(seconds)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        asked = getattr(_error(state), "retry_after", None)
        if asked is not None:
            return float(min(asked, LONGEST_WAIT))
        return self._backoff(state.attempt_number)

    def _backoff(self, attempt: int) -> float:
        """Seconds to wait after this attempt, the first of which is 1."""
        ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        return float(ceiling * (0.5 + self.random.random() / 2))

    def _over(self, state: tenacity.RetryCallState, start: float) -> bool:
        spent = self.clock.monotonic() - start + state.upcoming_sleep
        return state.attempt_number >= TRIES or spent > self.max_seconds

    def _report_wait(self, state: tenacity.RetryCallState, on_retry: Callable[[], None]) -> None:
        on_retry()
        self.report(Waiting(seconds=state.upcoming_sleep, reason=str(_error(state)), retry=state.attempt_number))


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
