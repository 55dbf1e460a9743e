"""Small charts in SVG: changes by day, a sparkline for a table, a bar for a share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise

from etl.read.activity import Activity, Day
from etl.report.html.markup import Element, Node, element
from etl.report.wording import counted, thousands

WIDTH, HEIGHT = 900.0, 150.0
LAYERS = (
    ("one", "numbers"),
    ("two", "assignments of numbers"),
    ("three", "names of campaigns, sites, scenarios"),
)
"""Layers of the bars from the axis up: colour, and the rows that it counts."""


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


def days_chart(activity: Activity) -> Element:
    """Chart with a bar for each observed day; a dashed line marks days without an observation between two bars."""
    days = activity.days
    most = max([sum(layered(day)) for day in days] + [1])
    step = min(WIDTH / max(len(days), 1), 60.0)
    label = f"Changes on {counted(len(days), 'observed day')}; at most {thousands(most)} on one day"
    drawing = element(
        "svg",
        (bar for i, day in enumerate(days) for bar in _bar(day, i * step, step, most)),
        _gaps([day.day for day in days], step),
        view_box=f"0 0 {step * len(days):g} {HEIGHT:g}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
    ends = [element("span", str(days[0].day)), element("span", str(days[-1].day)) if len(days) > 1 else None]
    highest = element("p", f"most on one day: {thousands(most)}", class_="soft small")
    wide = "chart" if len(days) * step == WIDTH else "chart few"
    return element("div", highest, drawing, element("p", ends, class_="ends soft small"), class_=wide)


def _bar(day: Day, left: float, step: float, most: int) -> Iterator[Element]:
    bottom, parts = HEIGHT, []
    for (colour, _), count in zip(LAYERS, layered(day), strict=True):
        if count:
            height = max(count / most * HEIGHT, 1.0)
            bottom = max(bottom - height, 0.0)
            x, y = round(left + step * 0.12, 1), round(bottom, 1)
            parts.append(element("rect", x=x, y=y, width=round(step * 0.76, 1), height=round(height, 1), class_=colour))
    total = sum(day.counts.values())
    yield element("g", element("title", f"{day.day}: {counted(total, 'change')}"), parts)


def _gaps(days: Sequence[date], step: float) -> Iterator[Element]:
    for i, (one, two) in enumerate(pairwise(days), 1):
        if two - one > timedelta(days=1):
            x = round(i * step, 1)
            yield element("line", x1=x, x2=x, y1=0, y2=HEIGHT, class_="gap")


def legend() -> Element:
    """Legend of the colours."""
    return element("ul", (element("li", _swatch(colour), words) for colour, words in LAYERS), class_="key")


def _swatch(colour: str) -> Element:
    square = element("rect", width=10, height=10, rx=2, class_=colour)
    return element("svg", square, width=10, height=10, aria_hidden="true")


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
