"""Beat of a resident sync: no drift, no burst, and no run that the day's points do not cover."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.sync.beat import JITTER, Beat, is_affordable, points_a_day

SECONDS = st.floats(0, 10**6)


@given(st.integers(1, 86_400), SECONDS, SECONDS, st.floats(0, 1))
def test_the_next_run_is_due_within_a_beat_and_its_jitter(
    every: int, start: float, passed: float, chance: float
) -> None:
    """However long a run took: later than now, and not later than a beat with its jitter."""
    wait = Beat(every, start).next(start + passed, chance)
    assert wait + 1e-6 > 0
    assert wait <= every * (1 + JITTER) + 1e-6


@given(st.integers(60, 86_400), st.lists(st.floats(0.1, 50), min_size=1, max_size=50))
def test_runs_do_not_drift(every: int, took: list[float]) -> None:
    """After any number of runs shorter than a beat, each began within the jitter of its place in the grid."""
    beat, now = Beat(every, 1000.0), 1000.0
    for place, seconds in enumerate(took):
        assert 0 <= now - (1000.0 + place * every) <= JITTER * every + 1e-6
        now += min(seconds, every * (1 - JITTER))
        now += beat.next(now, 0.5)


def test_a_long_run_leaves_out_beats() -> None:
    """A run of two and a half beats is followed by the one that is due next, not by three at once."""
    assert Beat(60, 0).next(150, 0) == 30


def test_after_a_pause_the_first_beat_is_taken() -> None:
    """Points are back in 100 seconds: the run is due at 120 on a beat of a minute."""
    assert Beat(60, 0).after(100, 5, 0) == 115


@pytest.mark.parametrize(("left", "cost", "enough"), [(None, 5, True), (5, 5, True), (4, 5, False), (0, 1, False)])
def test_a_run_begins_only_with_points_for_all_of_it(left: int | None, cost: int, enough: bool) -> None:
    """Half a run would cost points and publish less."""
    assert is_affordable(left, cost) is enough


def test_what_a_beat_costs_a_day() -> None:
    """13 points every five minutes are 3 744 a day; a beat that does not divide the day is rounded up."""
    assert points_a_day(13, timedelta(minutes=5)) == 3744
    assert points_a_day(1, timedelta(hours=7)) == 4
