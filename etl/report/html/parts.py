"""What the page is put together from: sections, tables, chips and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from etl.report.html.markup import Element, Node, element, safe_text
from etl.report.wording import thousands

NAME = 80
"""Characters of a name in a table."""
LEVELS = {"succeeded": "good", "fresh": "good", "running": "warn", "partial": "warn", "stale": "warn", "left": "note"}
"""How a state looks; those that are not named here look bad."""


@dataclass(frozen=True)
class Cell:
    """A cell; text is untrusted and made safe. `figure`: a number, set to the right. `label`: said on a phone."""

    content: Node | Sequence[Node] = None
    figure: bool = False

    @property
    def nodes(self) -> Sequence[Node]:
        """What the cell holds, its text safe."""
        content = [self.content] if self.content is None or isinstance(self.content, str) else self.content
        nodes = content if isinstance(content, Sequence) else [content]
        return [safe_text(n, 600) if isinstance(n, str) else n for n in nodes if n is not None and n != ""]


def figure(number: int | None) -> Cell:
    """A whole number in its column; an en dash when there is none."""
    return Cell("–" if number is None else thousands(number), figure=True)


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, cards: bool = False) -> Element:
    """A table. `cards`: on a phone each row stands by itself, its cells with their columns' names before them."""
    body = list(rows)
    figures = [all(row[i].figure for row in body) for i in range(len(heads))]
    head = [
        element("th", name, scope="col", class_="figure" if f else None) for name, f in zip(heads, figures, strict=True)
    ]
    lines = [element("tr", (_cell(cell, name) for cell, name in zip(row, heads, strict=True))) for row in body]
    kind = "cards" if cards else None
    return element("table", element("thead", element("tr", head)), element("tbody", lines), class_=kind)


def _cell(cell: Cell, label: str) -> Element:
    nodes = cell.nodes
    kinds = " ".join(filter(None, ["figure" if cell.figure else "", "" if nodes else "blank"]))
    return element("td", nodes, class_=kinds or None, data_label=label)


def section(name: str, title: str, *children: Node | Iterable[Node]) -> Element:
    """A part of the page under its heading; `name` is what links lead to."""
    return element("section", element("h2", title), *children, id=name)


def remark(text: str) -> Element:
    """A sentence that explains what is shown."""
    return element("p", text, class_="soft small")


def last_days(days: int) -> str:
    """The days that are told, in a sentence: `the last 12 observed days`."""
    return "the last observed day" if days == 1 else f"the last {thousands(days)} observed days"


def chip(text: str, level: str | None = None) -> Element:
    """A state as a coloured word."""
    return element("span", text, class_=f"chip {level or LEVELS.get(text, 'bad')}")


def when(text: str) -> Element:
    """A date or an instant, in one piece."""
    return element("span", text, class_="when")


def small(text: str, limit: int = 300) -> Element:
    """A second line in a cell, safe, not longer than `limit` characters."""
    return element("small", safe_text(text, limit))


def shortened(name: str) -> str:
    """A name as long as a table has room for."""
    return name if len(name) <= NAME else name[: NAME - 1] + "…"
