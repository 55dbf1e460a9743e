"""Markdown pages of the checkout, taken apart: code blocks, links, headings, and the commands that they name."""

from __future__ import annotations

import re
from pathlib import Path

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def blocks(page: Path) -> list[tuple[str, str]]:
    """The code blocks of a page, in order: language and text."""
    return _FENCED.findall(page.read_text(encoding="utf-8"))


def scripts(page: Path, heading: str) -> list[str]:
    """The code blocks for a shell under a heading of the second level, in order."""
    text = page.read_text(encoding="utf-8")
    part = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [block for language, block in _FENCED.findall(part) if language in ("", "sh")]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def commands(page: Path, program: str) -> set[str]:
    """The words that follow `program` in code: at the beginning of a line in a block, or of a code span."""
    lines = "\n".join(text for _, text in blocks(page))
    return {
        *re.findall(rf"^{program} ([a-z][a-z-]*)", lines, re.MULTILINE),
        *re.findall(rf"`{program} ([a-z][a-z-]*)", prose(page)),
    }


def links(page: Path) -> list[tuple[str, str]]:
    """Each link to a file or a heading of the checkout, as (path, heading); links to other hosts are left out."""
    found = _LINK.findall(prose(page))
    return [(path, heading) for link in found if "://" not in link for path, _, heading in [link.partition("#")]]


def broken_links(page: Path) -> list[str]:
    """The broken links of a page: no such file, or no such heading in it."""
    broken = []
    for path, heading in links(page):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (heading and heading not in _anchors(target)):
            broken.append(f"{path}#{heading}")
    return broken


def _anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub turns them into anchors."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
