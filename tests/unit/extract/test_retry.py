"""The retry policy: only the transient, bounded in tries and time, waiting on the clock that it is given."""

from __future__ import annotations

import random

import pytest

from etl.domain.events import Event, Waiting
from etl.errors import Misconfigured, NotAllowed, SourceUnusable, Transient, TryLater, VnsyncError
from etl.extract.retry import LONGEST_WAIT, TRIES, RetryPolicy
from tests.support.rig import FakeClock


class _Attempts:
    """Raises the given errors one after the other, then answers."""

    def __init__(self, *errors: Exception, seconds: float = 0.0, clock: FakeClock | None = None) -> None:
        self.errors, self.made, self.retried = list(errors), 0, 0
        self._seconds, self._clock = seconds, clock

    def __call__(self) -> str:
        self.made += 1
        if self._clock:
            self._clock.pass_time(self._seconds)
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def on_retry(self) -> None:
        self.retried += 1


def _policy(clock: FakeClock, events: list[Event] | None = None, max_seconds: float = 300.0) -> RetryPolicy:
    report = (events if events is not None else []).append
    return RetryPolicy(clock=clock, random=random.Random(1), report=report, max_seconds=max_seconds)


def test_a_success_is_not_repeated() -> None:
    """One answer, one request, no waiting."""
    clock, attempts = FakeClock(), _Attempts()
    assert _policy(clock).call(attempts, attempts.on_retry) == "answer"
    assert (attempts.made, attempts.retried, clock.slept) == (1, 0, [])


def test_a_passing_fault_is_waited_out_and_told() -> None:
    """Each retry is counted, and its wait is reported with the reason."""
    clock, attempts = FakeClock(), _Attempts(Transient("cut"), Transient("reset"))
    events: list[Event] = []
    assert _policy(clock, events).call(attempts, attempts.on_retry) == "answer"
    assert (attempts.made, attempts.retried) == (3, 2)
    waits = [e for e in events if isinstance(e, Waiting)]
    assert len(events) == len(waits)
    assert [(e.retry, e.reason) for e in waits] == [(1, "cut"), (2, "reset")]
    assert [e.seconds for e in waits] == clock.slept


@pytest.mark.parametrize("kind", [SourceUnusable, NotAllowed, Misconfigured, TryLater, ZeroDivisionError])
def test_what_will_not_pass_is_not_retried(kind: type[Exception]) -> None:
    """Asking again would only cost points."""
    clock, attempts = FakeClock(), _Attempts(kind("no"))
    with pytest.raises(kind):
        _policy(clock).call(attempts, attempts.on_retry)
    assert (attempts.made, clock.slept) == (1, [])


def test_waits_grow_with_jitter_up_to_a_minute() -> None:
    """Half to all of 0.5, 1, 2, ... seconds, so that many clients do not come back in step."""
    clock, attempts = FakeClock(), _Attempts(*[Transient("down")] * 20)
    with pytest.raises(Transient, match="down"):
        _policy(clock).call(attempts, attempts.on_retry)
    ceilings = [min(LONGEST_WAIT, 0.5 * 2**n) for n in range(TRIES - 1)]
    assert len(clock.slept) == len(ceilings)
    assert all(c / 2 <= s <= c for s, c in zip(clock.slept, ceilings, strict=True))
    assert len({s / c for s, c in zip(clock.slept, ceilings, strict=True)}) > 3


def test_tries_are_bounded() -> None:
    """After the eighth try the last error is raised as it is."""
    errors = [Transient(str(n)) for n in range(20)]
    clock, attempts = FakeClock(), _Attempts(*errors)
    with pytest.raises(Transient) as caught:
        _policy(clock, max_seconds=1e9).call(attempts, attempts.on_retry)
    assert attempts.made == TRIES == 8
    assert caught.value is errors[7]


def test_total_time_is_bounded() -> None:
    """No wait is begun that would end after `max_seconds`, the time that the tries took counted."""
    clock = FakeClock()
    attempts = _Attempts(*[Transient("slow")] * 20, seconds=50.0, clock=clock)
    with pytest.raises(VnsyncError, match="slow"):
        _policy(clock, max_seconds=120.0).call(attempts, attempts.on_retry)
    assert attempts.made == 3
    assert clock.ticks <= 170.0


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (0.0, 0.0), (86_400.0, LONGEST_WAIT)])
@pytest.mark.fault("H13")
def test_the_source_may_ask_for_a_pause(asked: float, waited: float) -> None:
    """H13: Retry-After is honoured, but an absurd one is cut to a minute."""
    clock, attempts = FakeClock(), _Attempts(Transient("busy", retry_after=asked))
    assert _policy(clock).call(attempts, attempts.on_retry) == "answer"
    assert clock.slept == [waited]
