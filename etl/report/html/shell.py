"""Frame of a page: one file that loads nothing and runs no script, with links to its sections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from etl.report.html.attention import Item
from etl.report.html.markup import Element, Hide, Node, Style, element, written
from etl.report.html.parts import chip, remark
from etl.report.html.style import CSS, policy
from etl.report.wording import asked, counted, moment, printable

OPENING = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="vnsync">'
"""First bytes of every report: a file that begins with them is an earlier report and may be replaced."""
Tile = tuple[str, str]
"""A figure and its words."""


def whole_page(
    title: str,
    heading: Sequence[Element],
    tiles: Iterable[Tile],
    sections: Sequence[Element],
    footer: Element,
    hide: Hide,
) -> str:
    """The page as text that ends in a newline: heading, links to the sections, tiles, the sections, and the footer."""
    body = element(
        "body",
        element("header", heading, _links(sections)),
        element("main", _tiles(tiles), sections),
        footer,
    )
    return f"<!doctype html>\n{written(element('html', _head(title), body, lang='en'), hide)}\n"


def _head(title: str) -> Element:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="generator", content="vnsync"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        Style(CSS),
    )


def _links(sections: Iterable[Element]) -> Element:
    links = (element("li", element("a", title, href=f"#{name}")) for name, title in map(_named, sections))
    return element("nav", element("ul", links), aria_label="Sections")


def _named(section: Element) -> tuple[str, Sequence[Node]]:
    """(id, title) of a section, which begins with its heading."""
    (heading, *_) = section.children
    return dict(section.attributes)["id"], heading.children if isinstance(heading, Element) else [heading]


def _tiles(tiles: Iterable[Tile]) -> Element:
    return element(
        "ul", (element("li", element("b", n), " ", element("span", label)) for n, label in tiles), class_="tiles"
    )


# -- words of every page


def times(known_at: datetime, made_at: datetime) -> Element:
    """The line under the heading: the moment of which the page tells, and that of its making if it is another one."""
    known = f"As known at {stated(known_at, made_at)} UTC"
    return element("p", known if known_at == made_at else f"{known}, created at {moment(made_at)} UTC", class_="soft")


def stated(known_at: datetime, made_at: datetime) -> str:
    """The moment of which the page tells: that of its making, or one that the user asked for."""
    return moment(made_at) if known_at == made_at else asked(known_at)


def verdict(found: Sequence[Item]) -> Element:
    """Count of the items that need something to be done, as a coloured word."""
    levels = [item.level for item in found]
    bad, warn = levels.count("bad"), levels.count("warn")
    if bad or warn:
        return chip(counted(bad + warn, "problem"), "bad" if bad else "warn")
    return chip("no problems", "good")


def page_footer(known_at: datetime, made_at: datetime, version: str, source_url: str | None, more: str) -> Element:
    """Where the page comes from; `more`: a sentence with commands that tell more."""
    source = f" Source: {printable(source_url)}." if source_url else ""
    made = f"Created by vnsync {version} at {moment(made_at)} UTC, as known at {stated(known_at, made_at)} UTC."
    return element("footer", element("p", made + source), remark(f"{INTERVAL} {more}"))


INTERVAL = "Times are UTC. Each change happened after the previous observation and not later than the time shown."
