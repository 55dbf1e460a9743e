"""An HTML page as a tree, for tests of its structure. Tags that do not close in order are an error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

_VOID = {"meta", "br"}
_APART = {"small", "div", "p", "li", "tr", "th", "td", "section", "h1", "h2", "h3"}
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


@dataclass
class Node:
    """An element with its attributes and its children: elements and texts."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    def all(self, *tags: str) -> list[Node]:
        """The elements with one of these tags below this one, in the order of the page."""
        return [node for node in self._below() if node.tag in tags]

    def one(self, *tags: str) -> Node:
        """The only element with one of these tags."""
        (node,) = self.all(*tags)
        return node

    def of_class(self, name: str) -> list[Node]:
        """The elements of a class."""
        return [node for node in self._below() if name in node.attributes.get("class", "").split()]

    def by_id(self, name: str) -> Node:
        """The only element with this id."""
        (node,) = [node for node in self._below() if node.attributes.get("id") == name]
        return node

    def rows(self) -> list[list[str]]:
        """The texts of a table's cells, row by row, with the heads first."""
        return [[cell.text for cell in row.children if isinstance(cell, Node)] for row in self.all("tr")]

    @property
    def text(self) -> str:
        """All text of the element in one line, with spaces around the text of block elements."""
        parts = (
            child if isinstance(child, str) else f" {child.text} " if child.tag in _APART else child.text
            for child in self.children
        )
        return " ".join("".join(parts).split())

    def _below(self) -> Iterator[Node]:
        for child in self.children:
            if isinstance(child, Node):
                yield child
                yield from child._below()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("document")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        assert len(node.attributes) == len(attrs), f"an attribute of {tag} is there twice"
        self.open[-1].children.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parsed(page: str) -> Node:
    """The page as a tree."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root]
    return reader.root


def unreadable(page: Node) -> list[str]:
    """Accessibility faults of a page in headings, tables, pictures, links and ids; empty if there are none."""
    return [*_headings(page), *_tables(page), *_pictures(page), *_links(page), *_ids(page)]


def _headings(page: Node) -> Iterator[str]:
    levels = [HEADINGS.index(node.tag) for node in page.all(*HEADINGS)]
    if levels.count(0) != 1 or levels[0] != 0:
        yield "there is not one h1 at the beginning"
    for before, after in pairwise(levels):
        if after > before + 1:
            yield f"h{before + 1} is followed by h{after + 1}"


def _tables(page: Node) -> Iterator[str]:
    for table in page.all("table"):
        if not table.attributes.get("aria-label"):
            yield "a table has no name"
        heads = [(cell.tag, cell.attributes.get("scope")) for cell in table.one("thead").all("th", "td")]
        if set(heads) != {("th", "col")}:
            yield f"heads of {table.attributes} are {heads}"
        for row in table.one("tbody").all("tr"):
            cells = [(cell.tag, cell.attributes.get("scope")) for cell in row.all("th", "td")]
            if cells != [("th", "row"), *[("td", None)] * (len(heads) - 1)]:
                yield f"a row of {table.attributes} has {cells}"


def _pictures(page: Node) -> Iterator[str]:
    for drawing in page.all("svg"):
        told = drawing.attributes.get("role") == "img" and drawing.attributes.get("aria-label")
        if not told and drawing.attributes.get("aria-hidden") != "true":
            yield "a picture has neither words nor is it hidden"


def _links(page: Node) -> Iterator[str]:
    places = {node.attributes["id"] for node in page._below() if "id" in node.attributes}
    for link in page.all("a"):
        if link.attributes["href"].removeprefix("#") not in places or not link.text:
            yield f"a link leads to {link.attributes['href']}"


def _ids(page: Node) -> Iterator[str]:
    ids = [node.attributes["id"] for node in page._below() if "id" in node.attributes]
    yield from (f"the id {name} is there twice" for name in set(ids) if ids.count(name) > 1)
