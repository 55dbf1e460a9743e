"""Small charts in SVG: changes by day, a sparkline for a table, a bar for a share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise

from etl.read.activity import Activity, Day
from etl.report.html.markup import Element, Node, element
from etl.report.html.parts import remark
from etl.report.wording import counted, thousands

STEP, HEIGHT = 30, 56
"""Width of a day and height of a chart in its own units, which are pixels where there is room."""
LAYERS = ("numbers", "assignments of numbers", "names of campaigns, sites and scenarios")
"""Kinds of rows that have a chart of their own."""


def layer(entity: str) -> int:
    """Index of the layer that an entity belongs to."""
    if entity == "number":
        return 0
    return 1 if entity.endswith(" of a number") else 2


def layered(day: Day) -> tuple[int, ...]:
    """Count of a day's changes for each layer."""
    sums = [0] * len(LAYERS)
    for (entity, _), count in day.counts.items():
        sums[layer(entity)] += count
    return tuple(sums)


def day_charts(activity: Activity) -> Node:
    """A chart for each layer, with a bar for each observed day; None for fewer than two days, which need no picture.

    Bars have one width, however few they are. A dashed line stands between two bars where days lie between them on
    which nothing was observed.
    """
    days = activity.days
    if len(days) < 2:
        return None
    layers = zip(*map(layered, days), strict=True)
    charts = [_chart(name, counts, [day.day for day in days]) for name, counts in zip(LAYERS, layers, strict=True)]
    words = f"A bar for each observed day from {days[0].day} to {days[-1].day}."
    gaps = " A dashed line: days between without an observation." if _is_broken([day.day for day in days]) else ""
    return element("div", charts, remark(words + gaps), class_="charts")


def _chart(name: str, counts: Sequence[int], days: Sequence[date]) -> Element:
    most = max(counts)
    top = f", most on {days[counts.index(most)]}: {thousands(most)}" if most else ""
    words = f"{name}: {counted(sum(counts), 'change')}{top}"
    width = STEP * len(days)
    drawing = element(
        "svg",
        (_bar(day, count, i, most) for i, (day, count) in enumerate(zip(days, counts, strict=True)) if count),
        _gaps(days),
        view_box=f"0 0 {width} {HEIGHT}",
        width=width,
        height=HEIGHT,
        preserveAspectRatio="none",
        role="img",
        aria_label=words,
    )
    return element("div", element("p", words, class_="small"), drawing, class_="chart")


def _bar(day: date, count: int, index: int, most: int) -> Element:
    height = round(max(count / most * HEIGHT, 1.0), 1)
    told = element("title", f"{day}: {counted(count, 'change')}")
    x, y = round(STEP * (index + 0.12), 1), round(HEIGHT - height, 1)
    return element("rect", told, x=x, y=y, width=round(STEP * 0.76, 1), height=height, class_="one")


def _is_broken(days: Sequence[date]) -> bool:
    return any(two - one > timedelta(days=1) for one, two in pairwise(days))


def _gaps(days: Sequence[date]) -> Iterator[Element]:
    for i, (one, two) in enumerate(pairwise(days), 1):
        if two - one > timedelta(days=1):
            yield element("line", x1=i * STEP, x2=i * STEP, y1=0, y2=HEIGHT, class_="gap")


def spark(counts: Sequence[int]) -> Node:
    """Sparkline: a row of bars, scaled to the highest; None if all counts are 0."""
    most = max(counts, default=0)
    if not most:
        return None
    width = 96 / max(len(counts), 12)
    path = "".join(
        f"M{i * width:.1f} 20v-{max(count / most * 20, 1.5):.1f}h{width * 0.7:.1f}V20z"
        for i, count in enumerate(counts)
        if count
    )
    label = f"{counted(sum(counts), 'change')}, at most {thousands(most)} on one day"
    return element(
        "svg", element("path", d=path, class_="one"), view_box="0 0 96 20", class_="spark", role="img", aria_label=label
    )


def meter(part: int, whole: int) -> Element:
    """Bar that is filled to the share of `part` in `whole`."""
    filled = round(100 * part / whole, 1) if whole else 0
    back = element("rect", width=100, height=8, class_="back")
    front = element("rect", width=max(filled, 0.6), height=8, class_="one")
    return element(
        "svg", back, front, view_box="0 0 100 8", preserveAspectRatio="none", class_="meter", aria_hidden="true"
    )
