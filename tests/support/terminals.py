"""Pseudo-terminal of a given width, and its visible text."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from threading import Thread

import pyte

from tests.support.running import command, environment

WIDTHS = (40, 60, 80, 120)
ROWS = 400
"""Rows of the terminal: more than any test prints, so that nothing is scrolled out."""


def on_terminal(columns: int, *arguments: object, rows: int = ROWS, code: int | None = 0, **more: str) -> list[str]:
    """The lines on a terminal of `columns` columns after the command, from the top, without trailing blanks and lines.

    `code`: the expected exit code, None for any; `more`: environment variables.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    read: list[bytes] = []
    reader = Thread(target=lambda: read.extend(iter(lambda: _read(ours), b"")))
    reader.start()
    variables = {k: v for k, v in environment().items() if k not in ("COLUMNS", "LINES")}
    variables |= {"TERM": "xterm-256color", **more}
    done = subprocess.run(
        command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=variables, check=False, timeout=120
    )
    os.close(theirs)
    reader.join()
    os.close(ours)
    shown = drawn(b"".join(read), columns, rows)
    assert code is None or done.returncode == code, shown
    return shown


def drawn(data: bytes, columns: int, rows: int = ROWS) -> list[str]:
    """The lines of a terminal that received `data`."""
    screen = pyte.Screen(columns, rows)
    pyte.ByteStream(screen).feed(data)
    lines = [_line(screen, row) for row in range(rows)]
    while lines and not lines[-1]:
        del lines[-1]
    return lines


def _line(screen: pyte.Screen, row: int) -> str:
    """A row's text. pyte leaves the second cell of a wide character empty."""
    return "".join(screen.buffer[row][column].data for column in range(screen.columns)).rstrip()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""


FIGURE = re.compile(r"\d+(?: \d{3})*")


def words_in(text: str, longest: int) -> set[str]:
    """The words of a text that fit whole into `longest` columns, except those in commands."""
    return {word for word in re.sub(r"`[^`]*`", " ", text).split() if len(word) <= longest}


def figures_in(text: str) -> set[str]:
    """The whole numbers in a text, in groups of three."""
    return set(FIGURE.findall(text))
