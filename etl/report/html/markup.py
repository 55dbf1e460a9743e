"""HTML and SVG as values. Text is escaped when it is written out, so no data can become markup.

Only code names tags and attributes. Text may come from anywhere: markup characters become references, control, bidi
and invisible characters become visible escapes, and text that a spreadsheet could take for a formula is quoted.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from etl.report.wording import printable, quoted

LONGEST = 2_000
"""Upper limit of the characters of one text; callers set lower limits for text that is not a sentence."""
VOID = frozenset({"meta", "br"})
_FORMULA = frozenset("=+-@|%＝＋－＠−")
"""First characters of text that a spreadsheet may take for a formula when a table is pasted or opened there."""

Hide = Callable[[str], str]
"""Function that masks secrets in a text."""


class Element(Struct, frozen=True):
    """An element with its attributes and its children."""

    tag: str
    attributes: tuple[tuple[str, str], ...]
    children: tuple[Node, ...]


class Style(Struct, frozen=True):
    """A style sheet: the only text that is written without escapes, so it must be a constant of the program."""

    text: str


Node = Element | Style | str | None
"""Child of an element; None is written as nothing."""


def element(tag: str, *children: Node | Iterable[Node], **attributes: str | float | None) -> Element:
    """An element. `class_` is the attribute class, `data_label` is data-label (`_` in a name is `-`); None is left out.

    Raises ValueError for attributes that could run or load anything: handlers, inline styles, URLs outside the page.
    """
    named = tuple((_name(k), _value(v)) for k, v in attributes.items() if v is not None)
    for name, value in named:
        if name.startswith("on") or name in ("style", "src", "srcdoc", "action"):
            raise ValueError(f"no attribute {name} in the page")
        if name == "href" and not value.startswith("#"):
            raise ValueError("a link may lead only to a part of the page")
    return Element(tag, named, tuple(_flat(children)))


def _flat(children: Iterable[Node | Iterable[Node]]) -> Iterator[Node]:
    for child in children:
        if child is None or isinstance(child, str | Element | Style):
            yield child
        else:
            yield from child


def _name(keyword: str) -> str:
    """Attribute name for a keyword; `view_box` becomes SVG's own spelling."""
    return {"view_box": "viewBox", "http_equiv": "http-equiv"}.get(keyword, keyword.rstrip("_").replace("_", "-"))


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def safe_text(text: str | None, limit: int = 120) -> str:
    """Text from outside as one safe line for a cell or a sentence; quoted if a spreadsheet could take it as formula."""
    if text is None or not text.strip():
        return "–" if text is None else quoted(text)
    safe = printable(text, limit)
    return quoted(text, limit) if safe.lstrip()[:1] in _FORMULA else safe


def written(node: Node, hide: Hide) -> str:
    """The node as HTML. `hide` sees every text and attribute before it is escaped."""
    return "".join(_pieces(node, hide))


def _pieces(node: Node, hide: Hide) -> Iterator[str]:
    if node is None:
        return
    if isinstance(node, str):
        yield _escaped(node, hide)
    elif isinstance(node, Style):
        yield f"<style>{node.text}</style>"
    else:
        attributes = "".join(f' {name}="{_escaped(value, hide)}"' for name, value in node.attributes)
        yield f"<{node.tag}{attributes}>"
        if node.tag not in VOID:
            for child in node.children:
                yield from _pieces(child, hide)
            yield f"</{node.tag}>"


def _escaped(text: str, hide: Hide) -> str:
    return html.escape(printable(hide(text), LONGEST))
