"""The process beside: reads pages from one file, writes their rows into another, until its standard input ends.

It is told of each page, a JSON array, by a line with its place, and tells the place of the rows by a line; after the
last page, that of what all pages share. It has neither the token nor the network nor the database.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable
from typing import BinaryIO

import msgspec

from etl.offload import spool
from etl.offload.transformers import encode
from etl.transform.page_rows import Transformation

FAILED, DISK = b"!", b"?"
"""Begin a line that tells, in JSON, of a traceback; and of what the disk refused."""
LONGEST = 8_000
"""Characters of a traceback that are told: a pipe takes them at once."""

split = msgspec.json.Decoder(list[msgspec.Raw]).decode


def work(pages: int, rows: int, requests: Iterable[bytes], answers: BinaryIO) -> None:
    """Transform the pages of one account; `pages` and `rows` are open files."""
    transformation, end = Transformation(), 0

    def answer(part: bytes) -> None:
        nonlocal end
        spool.write(rows, part, end)
        _tell(answers, b"%d %d" % (end, len(part)))
        end += len(part)

    try:
        for line in requests:
            at, length = map(int, line.split())
            answer(encode(transformation.page(split(spool.read(pages, (at, length))))))
        answer(encode(transformation.shared()))
    except (BrokenPipeError, MemoryError):
        raise
    except OSError as exc:
        _tell(answers, DISK + msgspec.json.encode(str(exc.strerror)))
    except Exception:  # noqa: BLE001 - raised in the process that asked
        _tell(answers, FAILED + msgspec.json.encode(traceback.format_exc()[-LONGEST:]))


def _tell(answers: BinaryIO, line: bytes) -> None:
    answers.write(line + b"\n")
    answers.flush()


def main(pages: int, rows: int) -> None:
    """Work for the process at the other end of standard input and output; when it is gone, there is nothing to do."""
    try:
        work(pages, rows, sys.stdin.buffer, sys.stdout.buffer)
    finally:
        os._exit(0)  # whatever happened, nothing is left to flush, and nobody to complain to
