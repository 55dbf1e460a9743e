"""Parts of the page: sections, tables, sentences, chips and figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from etl.report.html.markup import Element, Node, element, safe_text
from etl.report.wording import thousands

NAME = 80
"""Upper limit of the characters of a name in a table."""
LEVELS = {"succeeded": "good", "fresh": "good", "running": "warn", "partial": "warn", "stale": "warn", "left": "note"}
"""Level of each state, for its colour; other states are `bad`."""


class Cell(Struct, frozen=True):
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


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, label: str, cards: bool = False) -> Element:
    """A table whose first column names its rows; `label` is its name for screen readers.

    `cards`: on a narrow screen each row is a block of lines, each with its column's name and its cell. Such a table
    states its roles, for a browser forgets them where rows are blocks.
    """
    body = list(rows)
    figures = [all(row[i].figure for row in body) for i in range(len(heads))]
    columns = [_Column(name, i == 0, f, cards) for i, (name, f) in enumerate(zip(heads, figures, strict=True))]
    lines = (
        element("tr", (c.cell(cell) for c, cell in zip(columns, row, strict=True)), role=_role("row", cards))
        for row in body
    )
    return element(
        "table",
        element("thead", element("tr", (c.head() for c in columns), role=_role("row", cards))),
        element("tbody", lines),
        class_="cards" if cards else None,
        role=_role("table", cards),
        aria_label=label,
    )


def _role(name: str, stated: bool) -> str | None:
    return name if stated else None


class _Column(Struct, frozen=True):
    """A column of a table: its head and its cells as elements."""

    name: str
    first: bool
    figures: bool
    cards: bool

    def head(self) -> Element:
        kind = "figure" if self.figures else None
        return element("th", self.name, scope="col", class_=kind, role=_role("columnheader", self.cards))

    def cell(self, cell: Cell) -> Element:
        nodes = cell.nodes
        kinds = " ".join(filter(None, ["figure" if cell.figure else "", "" if nodes else "blank"])) or None
        label = self.name if self.cards else None
        if self.first:
            role = _role("rowheader", self.cards)
            return element("th", nodes, scope="row", class_=kinds, data_label=label, role=role)
        return element("td", nodes, class_=kinds, data_label=label, role=_role("cell", self.cards))


def section(name: str, title: str, *children: Node | Iterable[Node]) -> Element:
    """Section of the page with a heading; `name` is its id, for links."""
    return element("section", element("h2", title), *children, id=name)


def remark(text: str) -> Element:
    """Sentence that explains a section; commands of vnsync in it are code."""
    return element("p", _with_code(text), class_="soft small")


def prose(text: str, limit: int = 400) -> list[Node]:
    """Sentences from outside, such as an error, made safe; commands of vnsync in backticks become code."""
    return [*_with_code(safe_text(text, limit))]


def code(command: str) -> Element:
    """A command; a line may end between its words, and not after a hyphen."""
    words = (unbroken(word) if "-" in word and len(word) < 40 else word for word in command.split(" "))
    return element("code", [part for word in words for part in (" ", word)][1:])


_COMMAND = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)|`(vnsync [A-Za-z0-9 ._:/=-]{1,120})`')
"""A quoted name, which is left as it is, or a command of vnsync in backticks."""


def _with_code(text: str) -> Iterator[Node]:
    end = 0
    for found in _COMMAND.finditer(text):
        if found[1]:
            yield text[end : found.start()]
            yield code(found[1])
            end = found.end()
    yield text[end:]


def last_days(days: int) -> str:
    """The days of the report, for a sentence: `the last 12 observed days`."""
    return "the last observed day" if days == 1 else f"the last {thousands(days)} observed days"


def chip(text: str, level: str | None = None) -> Element:
    """A state as a coloured word; `level` replaces the state's own colour."""
    return element("span", text, class_=f"chip {level or LEVELS.get(text, 'bad')}")


def unbroken(text: str) -> Element:
    """A date, an instant, an id or a length of time: never broken over two lines."""
    return element("span", text, class_="unbroken")


def small(text: str) -> Element:
    """Second line in a cell, made safe, of at most 300 characters."""
    return element("small", safe_text(text, 300))


def shortened(name: str) -> str:
    """A name of at most `NAME` characters, with an ellipsis if it was cut off."""
    return name if len(name) <= NAME else name[: NAME - 1] + "…"
