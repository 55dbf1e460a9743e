"""The process beside: reads pages from one file, writes their rows into another, until its standard input ends.

It is told of each page, a JSON array, by a line with its place, and tells the place of the rows by a line; after the
last page, that of what all pages share. It has neither the token nor the network nor the database.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from typing import BinaryIO

import msgspec

from etl.offload import spool
from etl.transform.page_rows import Transformation

FAILED = b"!"
"""Begins a line that tells the place of a traceback."""

encode = msgspec.msgpack.Encoder().encode
split = msgspec.json.Decoder(list[msgspec.Raw]).decode


def work(pages: int, rows: int, told: BinaryIO, answers: BinaryIO) -> None:
    """Transform the pages of one account; `pages` and `rows` are open files."""
    transformation, end = Transformation(), 0

    def answer(part: bytes, mark: bytes = b"") -> None:
        nonlocal end
        spool.write(rows, part, end)
        answers.write(b"%s%d %d\n" % (mark, end, len(part)))
        answers.flush()
        end += len(part)

    try:
        for line in told:
            at, length = map(int, line.split())
            answer(encode(transformation.page(split(spool.read(pages, (at, length))))))
        answer(encode(transformation.shared()))
    except Exception:  # noqa: BLE001 - raised in the process that asked
        answer(traceback.format_exc().encode("utf-8", "backslashreplace"), FAILED)


def main(pages: int, rows: int) -> None:
    """Work for the process at the other end of standard input and output; when it is gone, there is nothing to do."""
    with contextlib.suppress(BrokenPipeError):
        work(pages, rows, sys.stdin.buffer, sys.stdout.buffer)
    os._exit(0)  # nothing is left to flush, and to complain about to a terminal that is another's
