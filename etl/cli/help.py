"""Help pages that fit the terminal: prose is folded between words, and no example is split where it can be avoided."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

import click
from click.formatting import HelpFormatter

WIDEST = 100
NARROW = 60
"""Below so many columns an option's explanation stands under its name: beside it too few columns would be left."""


class Help(HelpFormatter):
    """click's formatter, also for terminals of 40 columns; wider than `WIDEST` nothing gets."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        columns = min(shutil.get_terminal_size().columns, max_width or WIDEST)
        super().__init__(indent_increment, width or columns - 1, max_width)

    def write_text(self, text: str) -> None:
        """Write paragraphs; a verbatim one keeps its lines, but for explanations that do not fit."""
        margin = " " * self.current_indent
        for place, paragraph in enumerate(text.split("\n\n")):
            kept = paragraph.lstrip("\n").startswith("\b")
            lines = paragraph.split("\n")[1:] if kept else [" ".join(paragraph.split())]
            fitting = self._example if kept else self._prose
            self.write("\n" if place else "")
            self.write("".join(f"{fitting(margin + line)}\n" for line in lines))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options or commands: side by side where there is room, else one under the other."""
        rows, margin = list(rows), " " * self.current_indent
        widest = min(col_max, max(len(name) for name, _ in rows)) + col_spacing if self.width >= NARROW else 0
        for name, explanation in rows:
            column = " " * (self.current_indent + (widest or 4))
            lines = self._prose(column + explanation).split("\n")
            beside = len(name) + col_spacing <= widest
            head = f"{margin}{name}{lines.pop(0)[len(margin + name) :]}" if beside else f"{margin}{name}"
            self.write("".join(f"{line}\n" for line in [head, *lines]))

    def _prose(self, line: str) -> str:
        """The line folded between words under its first one; a command in backticks stays in one piece."""
        from etl.report.terminal.paragraphs import folded

        margin = " " * (len(line) - len(line.lstrip()))
        return textwrap.indent(folded(line.lstrip(), self.width - len(margin)), margin)

    def _example(self, line: str) -> str:
        """The line, and what the example does under it when both are too wide for one line."""
        if len(line) <= self.width:
            return line
        margin = " " * (len(line) - len(line.lstrip()))
        command, _, explanation = line.strip().partition("  ")
        if not explanation:
            return line
        return f"{margin}{command}\n{self._prose(f'{margin}    {explanation.lstrip()}')}"


class HelpContext(click.Context):
    """Context whose help is written by `Help`."""

    formatter_class = Help


def with_help(command: click.Command) -> click.Command:
    """The command with help pages by `Help`, and so its subcommands."""
    command.context_class = HelpContext
    for inner in getattr(command, "commands", {}).values():
        with_help(inner)
    return command
