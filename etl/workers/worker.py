"""The process beside: reads pages from files, writes their rows into others, until its standard input ends.

It has a few desks, each with a file for pages and one for rows, and is asked by lines: which desk, and the place of a
page, a JSON array. Each line is answered by one: the desk, and the place of what was made, or what went wrong. A page
at the file's first byte begins an account, `END` asks for what all its pages share. It has neither the token nor the
network nor the database.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import msgspec

from etl.transform.page_rows import Transformation
from etl.workers import spool
from etl.workers.spool import Extent
from etl.workers.transformers import encode

END: Extent = (0, 0)
FAILED, DISK = b"!", b"?"
"""Begin an answer that tells, in JSON, of a traceback; and of what the disk refused."""
LONGEST = 8_000
"""Characters of a traceback that are told."""


class _Slot:
    """One account after the other; `pages` and `rows` are open files."""

    def __init__(self, pages: int, rows: int) -> None:
        self._pages, self._rows = pages, rows
        self._begin()

    def _begin(self) -> None:
        self._transformation, self._end, self._failure = Transformation(), 0, b""

    def answer(self, extent: Extent) -> bytes:
        """Do what is asked; once something went wrong with an account, that is the answer to all the rest."""
        at, length = extent
        if not at and length:
            self._begin()
        try:
            return self._failure or self._kept(self._made(extent))
        except (BrokenPipeError, MemoryError):
            raise
        except OSError as exc:
            self._failure = DISK + msgspec.json.encode(str(exc.strerror))
        except Exception:  # noqa: BLE001 - raised in the process that asked
            self._failure = FAILED + msgspec.json.encode(traceback.format_exc()[-LONGEST:])
        return self._failure

    def _made(self, extent: Extent) -> bytes:
        if extent != END:
            return encode(self._transformation.page(spool.read(self._pages, extent)))
        made = encode(self._transformation.shared())
        self._transformation = Transformation()  # memory need not hold it until the next account
        return made

    def _kept(self, part: bytes) -> bytes:
        spool.write(self._rows, part, self._end)
        extent = b"%d %d" % (self._end, len(part))
        self._end += len(part)
        return extent


def work(files: Sequence[tuple[int, int]], requests: Iterable[bytes], answers: BinaryIO) -> None:
    """Answer every request. `files`: of each desk, for pages and for rows."""
    slots = [_Slot(*pair) for pair in files]
    for line in requests:
        number, at, length = map(int, line.split())
        answers.write(b"%d %s\n" % (number, slots[number].answer((at, length))))
        answers.flush()


def main(files: Sequence[tuple[int, int]]) -> None:
    """Work for the process at the other end of standard input and output; when it is gone, there is nothing to do."""
    try:
        work(files, sys.stdin.buffer, sys.stdout.buffer)
    finally:
        os._exit(0)  # whatever happened, nothing is left to flush, and nobody to complain to
