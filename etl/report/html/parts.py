"""Parts of the page: sections, tables, chips and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from etl.report.html.markup import Element, Node, element, safe_text
from etl.report.wording import thousands

NAME = 80
"""Upper limit of the characters of a name in a table."""
LEVELS = {"succeeded": "good", "fresh": "good", "running": "warn", "partial": "warn", "stale": "warn", "left": "note"}
"""Level of each state, for its colour; other states are `bad`."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table; its text is untrusted and made safe. `figure`: it is a number, aligned to the right."""

    content: Node | Sequence[Node] = None
    figure: bool = False

    @property
    def nodes(self) -> Sequence[Node]:
        """The content of the cell as nodes, with safe text."""
        content = [self.content] if self.content is None or isinstance(self.content, str) else self.content
        nodes = content if isinstance(content, Sequence) else [content]
        return [safe_text(n, 600) if isinstance(n, str) else n for n in nodes if n is not None and n != ""]


def figure(number: int | None) -> Cell:
    """Cell with a whole number; an en dash for None."""
    return Cell("–" if number is None else thousands(number), figure=True)


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, cards: bool = False) -> Element:
    """A table. `cards`: on a narrow screen each row is a block of lines, each with its column's name and its cell."""
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
    """Section of the page with a heading; `name` is its id, for links."""
    return element("section", element("h2", title), *children, id=name)


def remark(text: str) -> Element:
    """Sentence that explains a section."""
    return element("p", text, class_="soft small")


def last_days(days: int) -> str:
    """The days of the report, for a sentence: `the last 12 observed days`."""
    return "the last observed day" if days == 1 else f"the last {thousands(days)} observed days"


def chip(text: str, level: str | None = None) -> Element:
    """A state as a coloured word; `level` replaces the state's own colour."""
    return element("span", text, class_=f"chip {level or LEVELS.get(text, 'bad')}")


def when(text: str) -> Element:
    """A date or an instant that is never broken over two lines."""
    return element("span", text, class_="when")


def small(text: str, limit: int = 300) -> Element:
    """Second line in a cell, made safe, of at most `limit` characters."""
    return element("small", safe_text(text, limit))


def shortened(name: str) -> str:
    """A name of at most `NAME` characters, with an ellipsis if it was cut off."""
    return name if len(name) <= NAME else name[: NAME - 1] + "…"
