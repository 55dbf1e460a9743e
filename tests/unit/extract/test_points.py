"""The pace that the API's points allow: pure numbers in, a pause or a stop out."""

from __future__ import annotations

from typing import Any

import pytest

from etl.extract.ledger import SharedPoints
from etl.extract.points import Later, Pause, Points, Spent, TooFewPoints, minute_pause

SENSELESS: list[object] = [None, "5", -1, True, [], {}, "soon"]


def _heard(**limits: Any) -> Points:
    points = Points()
    points.received(limits)
    return points


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [(30, 31.0), (0, 1.0), (0.5, 1.5), (119, 120.0), (10_000, 121.0), *((value, 61.0) for value in SENSELESS)],
)
def test_a_minute_limit_is_waited_out(reset: object, seconds: float) -> None:
    """The reset and one second; never less than a second, never absurdly long, a minute when it makes no sense."""
    assert minute_pause(reset) == Pause(seconds)


def test_nothing_is_paced_where_nothing_is_limited() -> None:
    """Limits are absent where none apply: then requests go at once and nothing is known to be left."""
    points = Points()
    assert points.before_request() is None
    assert (points.left, points.day_left()) == (None, None)


def test_the_last_point_of_a_minute_pauses_the_next_request_once() -> None:
    """By the end of the pause the minute is a new one, so the same answer does not pause twice."""
    points = _heard(minute_remaining=0, minute_reset=12, day_remaining=7)
    assert points.before_request() == Pause(13.0)
    assert points.before_request() is None
    assert points.left == 7


def test_the_last_point_of_a_day_stops() -> None:
    """A spent day is no pause: the run stops and says when the points come back; the minute does not matter then."""
    points = _heard(day_remaining=0, day_reset=7200, minute_remaining=0, minute_reset=1)
    assert points.before_request() == Spent(7200.0)
    assert points.before_request() == Spent(7200.0)


@pytest.mark.parametrize("reset", SENSELESS)
def test_a_day_without_a_usable_reset_still_stops(reset: object) -> None:
    """When the source does not say when, it is not guessed."""
    assert _heard(day_remaining=0, day_reset=reset).before_request() == Spent(None)


@pytest.mark.parametrize("value", SENSELESS)
def test_limits_that_make_no_sense_are_no_limits(value: object) -> None:
    """P10: a limit that is missing, negative, a string or no number neither stops nor loops."""
    points = _heard(minute_remaining=value, day_remaining=value)
    assert points.before_request() is None
    assert points.left is None


@pytest.mark.parametrize("limits", [None, [], "none", 3])
def test_limits_that_are_no_object_leave_what_was_known(limits: object) -> None:
    """P10: an answer without usable limits does not forget those of the answer before."""
    points = _heard(day_remaining=5)
    points.received(limits)
    assert points.day_left() == 5


def test_left_is_the_tighter_of_minute_and_day() -> None:
    """Points left: the requests that can be sent before the next wait or stop, which a progress display shows."""
    assert _heard(minute_remaining=3, day_remaining=900).left == 3
    assert _heard(minute_remaining=60, day_remaining=2).left == 2
    assert _heard(minute_remaining=60, day_remaining=2).day_left() == 2


@pytest.mark.parametrize("name", ["minute_remaining", "day_remaining", "minute_reset", "day_reset"])
def test_numbers_beyond_a_float_are_survived(name: str) -> None:
    """P10: whatever number the source sends as a limit, asking for the pace never fails."""
    points = _heard(**({"minute_remaining": 0, "day_remaining": 1} | {name: 10**400}))
    points.before_request()
    assert points.left is None or points.left >= 0
    assert minute_pause(10**400).seconds <= 121.0


# -- requests that overlap


def _answered(points: Points, sent: int, **limits: Any) -> None:
    points.received(limits, sent)
    points.ended()


def test_nothing_overlaps_before_the_first_answer() -> None:
    """The points are unknown at first, so the first request is sent alone."""
    points = Points()
    first = points.sent()
    assert points.before_request() == Later()
    _answered(points, first)
    points.sent()
    assert points.before_request() is None


@pytest.mark.parametrize("kind", ["minute", "day"])
def test_a_request_under_way_has_its_point(kind: str) -> None:
    """With three points left three requests overlap; the fourth waits for an answer before it pauses or stops."""
    points = _heard(**{f"{kind}_remaining": 3, f"{kind}_reset": 9})
    sent = []
    for _ in range(3):
        assert points.before_request() is None
        sent.append(points.sent())
    assert points.before_request() == Later()
    for left, mark in zip((2, 1), sent, strict=False):
        _answered(points, mark, **{f"{kind}_remaining": left, f"{kind}_reset": 9})
        assert points.before_request() == Later()
    _answered(points, sent[2], **{f"{kind}_remaining": 0, f"{kind}_reset": 9})
    assert points.before_request() == (Pause(10.0) if kind == "minute" else Spent(9.0))


def test_a_request_that_failed_gives_its_point_back() -> None:
    """Only successful calls cost."""
    points = _heard(minute_remaining=1)
    points.sent()
    assert points.before_request() == Later()
    points.ended()
    assert points.before_request() is None


def test_of_answers_that_crossed_the_lowest_is_believed() -> None:
    """The answer that was given first may come last: it knows of fewer requests, not of more points."""
    points = _heard(minute_remaining=10)
    one, two = points.sent(), points.sent()
    _answered(points, two, minute_remaining=8)
    _answered(points, one, minute_remaining=9)
    assert points.left == 8
    _answered(points, points.sent(), minute_remaining=60)
    assert points.left == 60


def test_after_a_minute_was_waited_out_one_request_asks_for_all() -> None:
    """The new minute's points are unknown, so one request is sent alone."""
    points = _heard(minute_remaining=0, minute_reset=5)
    assert points.before_request() == Pause(6.0)
    assert points.before_request() is None
    points.sent()
    assert points.before_request() == Later()


def test_what_is_promised_to_one_is_not_promised_to_another() -> None:
    """Of seven points a listing of five leaves two, fewer with each reservation; spent points are released."""
    points = _heard(day_remaining=7)
    points.promise("a", 2)
    points.afford("a", 5)
    assert points.fits("b", 2)
    assert not points.fits("b", 3)
    points.promise("b", 2)
    with pytest.raises(TooFewPoints, match="takes 3 more API points, and only 2 are left"):
        points.afford("b", 3)
    points.sent()
    points.ended("a")
    points.afford("b", 3)
    points.release("a")
    points.afford("b", 7)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_point_that_an_answer_counts_is_not_reserved_any_more(shared: bool) -> None:
    """Two accounts have their answers, which count two points, while their requests have not ended: a third has its own
    two, and a fourth has none.
    """
    points = SharedPoints({}, 0.0, "process") if shared else Points()
    first, second, third, fourth = owners = [object() for _ in range(4)]
    points.received({"day_limit": 10, "day_remaining": 6})
    for owner in owners[:3]:
        points.promise(owner, 2)
    marks = {owner: points.sent(owner) for owner in (first, second)}
    for left, (owner, mark) in zip((5, 4), marks.items(), strict=True):
        points.received({"day_limit": 10, "day_remaining": left}, mark, owner)
    points.afford(third, 2)
    assert not points.fits(fourth, 1)
    for owner in marks:
        points.ended(owner, answered=True)
    assert not points.fits(fourth, 1)


def test_a_single_account_has_all_points_to_itself() -> None:
    """A single account is limited only by the day's points that the source reports."""
    points = _heard(day_remaining=3)
    points.afford("a", 3)
    with pytest.raises(TooFewPoints):
        points.afford("a", 4)
