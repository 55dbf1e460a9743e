"""Sentences on a terminal, folded between words; commands are not split."""

from __future__ import annotations

import re

from etl.report.terminal.tables import width_of

_WORD = re.compile(r"[^\s`]*`[^`]*`\S*|\S+")
"""A word, or a command in backticks with the characters next to it: a split command could not be copied."""


def folded(text: str, room: int) -> str:
    """The text with each line folded to at most `room` cells; a longer word or command is not split."""
    return "\n".join(_folded(line, room) for line in text.split("\n"))


def _folded(line: str, room: int) -> str:
    if width_of(line) <= room:
        return line
    margin = " " * (len(line) - len(line.lstrip(" ")))
    more = f"{margin}  " if margin else ""
    lines, now = [], margin
    for word in _WORD.findall(line):
        fits = not now.strip() or width_of(now) + 1 + width_of(word) <= room
        if not fits:
            lines.append(now)
            now = more
        now += word if not now.strip() else f" {word}"
    return "\n".join([*lines, now])
