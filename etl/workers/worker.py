"""Transform process: it reads pages from files and writes their rows to other files, until its standard input ends.

It has several slots, each with one file for pages and one for rows. Each request is a line: a slot's number and the
position of a page, which is a JSON array. Each answer is a line: the slot's number, and the position of the result or
an error. A page at the file's first byte begins a new account; `END` requests the shared rows of all its pages. The
process has neither the token nor a connection to the network or the database.
"""

from __future__ import annotations

import gc
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
"""Prefixes of answers that carry, as JSON, a traceback and an error of the disk."""
LONGEST = 8_000
"""Maximum number of characters of a traceback in an answer."""


class _Slot:
    """State of one slot, which transforms one account after another; `pages` and `rows` are file descriptors."""

    def __init__(self, pages: int, rows: int) -> None:
        self._pages, self._rows = pages, rows
        self._begin()

    def _begin(self) -> None:
        self._transformation, self._end, self._failure = Transformation(), 0, b""

    def answer(self, extent: Extent) -> bytes:
        """Handle a request. After an error, every further request of the same account gets that error as its answer."""
        at, length = extent
        if not at and length:
            self._begin()
        try:
            return self._failure or self._kept(self._result(extent))
        except (BrokenPipeError, MemoryError):
            raise
        except OSError as exc:
            self._failure = DISK + msgspec.json.encode(str(exc.strerror))
        except Exception:  # noqa: BLE001 - raised again in the parent process
            self._failure = FAILED + msgspec.json.encode(traceback.format_exc()[-LONGEST:])
        return self._failure

    def _result(self, extent: Extent) -> bytes:
        if extent != END:
            return encode(self._transformation.page(spool.read(self._pages, extent)))
        result = encode(self._transformation.shared())
        self._transformation = Transformation()  # free the memory before the next account
        return result

    def _kept(self, part: bytes) -> bytes:
        spool.write(self._rows, part, self._end)
        extent = b"%d %d" % (self._end, len(part))
        self._end += len(part)
        return extent


def work(files: Sequence[tuple[int, int]], requests: Iterable[bytes], answers: BinaryIO) -> None:
    """Answer every request. `files`: for each slot the file descriptors for pages and for rows."""
    slots = [_Slot(*pair) for pair in files]
    for line in requests:
        number, at, length = map(int, line.split())
        answers.write(b"%d %s\n" % (number, slots[number].answer((at, length))))
        answers.flush()


def main(files: Sequence[tuple[int, int]], collect_after: tuple[int, int, int]) -> None:
    """Entry point: serve the parent process over standard input and output, until it closes them or ends.

    `collect_after`: thresholds of the garbage collector. With Python's own, a fifth of this process's work would be to
    look for cycles among rows, which have none.
    """
    gc.set_threshold(*collect_after)
    try:
        work(files, sys.stdin.buffer, sys.stdout.buffer)
    finally:
        os._exit(0)  # also after an error: all answers are flushed, and no reader is left for a message
