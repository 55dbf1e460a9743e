"""Calendar of a year: a square for each day, larger for more changes, and the same by month in figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta

from msgspec import Struct

from etl.read.activity import YEAR, Activity, Day
from etl.report.html.charts import layered
from etl.report.html.markup import Element, element
from etl.report.html.parts import Cell, figure, remark, section, table, unbroken
from etl.report.wording import counted, thousands

STEP, TOP, LEFT = 13, 14, 32
"""Width of a day with the space around it, and the room above and beside the days for the names of months and days."""
SIDES = (4, 6, 8, 11)
"""Sides of the squares: the size tells how many changes a day had, so that no colour need be told apart."""
WEEKS = 27
"""Weeks in one picture: two of them, side by side or one above the other, are a year."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def year_section(year: Activity, unpublished: Collection[date], until: date) -> Element:
    """Section with the calendar of the year up to `until`; `unpublished`: days on which nothing could be published."""
    title = "Calendar of a year"
    first = until - timedelta(days=YEAR - 1)
    days = {day.day: day for day in year.days if first <= day.day <= until}
    if not days:
        return section("year", title, remark("Nothing was observed in this year."))
    calendar = _Calendar({day: sum(layered(each)) for day, each in days.items()}, frozenset(unpublished))
    monday = first - timedelta(days=first.weekday())
    halves = [(first, monday + timedelta(weeks=WEEKS, days=-1)), (monday + timedelta(weeks=WEEKS), until)]
    words = f"{calendar.words(first, until)}. An account's first observation is not counted."
    drawings = element("div", (element("div", calendar.drawing(*half)) for half in halves), class_="split")
    return section("year", title, remark(words), drawings, _key(), _by_month(days, unpublished))


class _Calendar(Struct, frozen=True):
    """Count of changes of each observed day, and the days on which nothing could be published."""

    counts: Mapping[date, int]
    unpublished: frozenset[date]

    def words(self, first: date, last: date) -> str:
        """What a picture of these days tells, in a sentence."""
        within = {day: count for day, count in self.counts.items() if first <= day <= last}
        most = max(within.values(), default=0)
        top = f", most on {next(day for day in within if within[day] == most)}: {thousands(most)}" if most else ""
        rows = f"{counted(sum(within.values()), 'row')} added, changed or removed"
        return f"{first} to {last}: {rows} on {counted(len(within), 'observed day')}{top}"

    def drawing(self, first: date, last: date) -> Element:
        """A column for each week and a row for each day of the week."""
        monday = first - timedelta(days=first.weekday())
        days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
        return element(
            "svg",
            _names(monday, days),
            (self._square(day, _place(day, monday)) for day in days if self.counts.get(day)),
            element("path", d="".join(self._dots(days, monday)), class_="dot"),
            element("path", d="".join(self._crosses(days, monday)), class_="cross"),
            view_box=f"0 0 {LEFT + WEEKS * STEP} {TOP + 7 * STEP}",
            class_="year",
            role="img",
            aria_label=self.words(first, last),
        )

    def _square(self, day: date, place: tuple[int, int]) -> Element:
        count = self.counts[day]
        side = SIDES[math.ceil(len(SIDES) * math.sqrt(count / max(self.counts.values()))) - 1]
        x, y = (at + (STEP - side) / 2 for at in place)
        told = element("title", f"{day}: {counted(count, 'row')}")
        return element("rect", told, x=x, y=y, width=side, height=side, class_="one")

    def _dots(self, days: Sequence[date], monday: date) -> Iterator[str]:
        for day in days:
            if self.counts.get(day) == 0:
                x, y = _place(day, monday)
                yield f"M{x + 5} {y + 5}h3v3h-3z"

    def _crosses(self, days: Sequence[date], monday: date) -> Iterator[str]:
        for day in days:
            if day in self.unpublished and day not in self.counts:
                x, y = _place(day, monday)
                yield f"M{x + 3} {y + 3}l7 7m0-7l-7 7"


def _place(day: date, monday: date) -> tuple[int, int]:
    """Left and upper edge of a day's room in the picture whose first week begins at `monday`."""
    weeks, weekday = divmod((day - monday).days, 7)
    return LEFT + weeks * STEP, TOP + weekday * STEP


def _names(monday: date, days: Sequence[date]) -> Iterator[Element]:
    for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri")):
        yield element("text", name, x=4, y=TOP + row * STEP + 10)
    for day in days:
        x, _ = _place(day, monday)
        if day.day == 1 and x < LEFT + (WEEKS - 1) * STEP:  # there is no room for a name beside the last week
            yield element("text", MONTHS[day.month - 1], x=x, y=10)


def _key() -> Element:
    marks = [
        (element("rect", x=1, y=1, width=11, height=11, class_="one"), "a larger square: more changes"),
        (element("path", d="M5 5h3v3h-3z", class_="dot"), "observed, no change"),
        (element("path", d="M3 3l7 7m0-7l-7 7", class_="cross"), "tried, nothing published"),
        (None, "empty: not tried"),
    ]
    drawn = ((element("svg", mark, width=13, height=13, aria_hidden="true") if mark else None, w) for mark, w in marks)
    return element("ul", (element("li", mark, words) for mark, words in drawn), class_="key")


def _by_month(days: Mapping[date, Day], unpublished: Collection[date]) -> Element:
    months = sorted({(day.year, day.month) for day in (*days, *unpublished)}, reverse=True)
    rows = [_month(year, month, days, unpublished) for year, month in months]
    heads = ["month", "days", "failed", "numbers", "assigned", "names"]
    return table(heads, rows, label="Observed days, failed days and changes by month")


def _month(year: int, month: int, days: Mapping[date, Day], unpublished: Collection[date]) -> list[Cell]:
    within = [each for day, each in days.items() if (day.year, day.month) == (year, month)]
    failed = sum((day.year, day.month) == (year, month) for day in unpublished)
    layers = [sum(counts) for counts in zip(*map(layered, within), strict=True)] or [0, 0, 0]
    return [
        Cell([unbroken(f"{year}-{month:02}")]),
        figure(len(within)),
        figure(failed or None),
        *(figure(count or None) for count in layers),
    ]
