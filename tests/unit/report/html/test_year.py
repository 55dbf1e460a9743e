"""The calendar of a year: every day in its place, its changes by size and in figures, however long the year was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from etl.read.activity import Activity, Day
from etl.report.html.markup import written
from etl.report.html.year import SIDES, year_section
from tests.support.html_tree import Node, parsed, unreadable

UNTIL = date(2026, 11, 30)


def _calendar(counts: Mapping[date, int], unpublished: tuple[date, ...] = (), until: date = UNTIL) -> Node:
    days = tuple(
        Day(day=day, accounts=1, observations=1, counts={("number", "changed"): n} if n else {})
        for day, n in sorted(counts.items())
    )
    year = Activity(days=days, per_account={})
    return parsed(written(year_section(year, unpublished, until), str))


def _squares(page: Node) -> dict[str, Node]:
    return {mark.text: mark for drawing in page.of_class("year") for mark in drawing.all("rect")}


def test_more_changes_make_a_larger_square() -> None:
    """Four sizes, each with its day and count in words; a day without changes is a dot, one that failed a cross."""
    counts = {UNTIL - timedelta(days=i): n for i, n in enumerate((100, 50, 20, 1, 0))}
    page = _calendar(counts, (UNTIL - timedelta(days=9),))
    sides = {words: float(square.attributes["width"]) for words, square in _squares(page).items()}
    assert sides == {
        "2026-11-30: 100 rows": SIDES[3], "2026-11-29: 50 rows": SIDES[2], "2026-11-28: 20 rows": SIDES[1],
        "2026-11-27: 1 row": SIDES[0],
    }  # fmt: skip
    for kind in ("dot", "cross"):
        paths = [path.attributes["d"] for drawing in page.of_class("year") for path in drawing.of_class(kind)]
        assert "".join(paths).count("M") == 1
    assert "171 rows added, changed or removed on 5 observed days, most on 2026-11-30: 100" in page.one("section").text
    assert page.one("table").rows()[1:] == [["2026-11", "5", "1", "171", "–", "–"]]


def test_a_single_day_is_a_single_square() -> None:
    """One observed day is one small square, not a picture of its own."""
    (square,) = _squares(_calendar({UNTIL: 9})).values()
    assert float(square.attributes["width"]) <= 11


def test_a_year_without_observations_is_told_in_words() -> None:
    """No picture, whatever was observed before this year."""
    page = _calendar({UNTIL - timedelta(days=365): 9})
    assert page.all("svg") == []
    assert "Nothing was observed in this year." in page.one("section").text


@settings(max_examples=30, deadline=None)
@given(st.dates(date(1970, 1, 1), date(2999, 1, 1)), st.sets(st.integers(0, 364), min_size=1), st.integers(1, 10**9))
def test_every_day_has_its_place(until: date, ago: set[int], count: int) -> None:
    """Whatever day it is: each day is there once, within its picture, and no two in one place; readable for all."""
    days = {until - timedelta(days=i): count for i in ago}
    page = _calendar(days, until=until)
    places = set()
    for index, drawing in enumerate(page.of_class("year")):
        _, _, width, height = map(float, drawing.attributes["viewbox"].split())
        for square in drawing.all("rect"):
            x, y, side = (float(square.attributes[name]) for name in ("x", "y", "width"))
            assert 0 <= x <= width - side
            assert 0 <= y <= height - side
            places.add((index, x, y))
    assert len(places) == len(days)
    assert set(_squares(page)) == {f"{day}: {count:,} row{'s' * (count > 1)}".replace(",", " ") for day in days}
    assert [found for found in unreadable(page) if "h1" not in found] == []
