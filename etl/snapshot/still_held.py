"""Which erased content a snapshot from before the erasure still holds, when that is all by which it differs."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection

from etl.domain import tables as declared
from etl.files import open_regular
from etl.read.erased import Version
from etl.snapshot import csv_text, parquet
from etl.snapshot.encoders import ENCODERS
from etl.snapshot.rows import Row, Sheet, batches

PERSONAL = frozenset(c.name for c in declared.VIRTUAL_NUMBERS.personal)
_CELL = re.compile(rb'(?<![^,\n])("(?:[^"]|"")*+"|[^,"\n]*+)([,\n])')  # begins behind an end only: in one pass
Record = bytes | tuple[Any, ...]
"""A row as a file has it: its bytes, or Parquet's values."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A table of a snapshot in one of its formats."""

    sheet: Sheet
    name: str
    path: Path
    moment: datetime


def still_held(connection: Connection, copy: Copy, erased: Mapping[Version, datetime]) -> set[Version] | None:
    """The erased versions whose content the file still has; None when it differs in anything else as well."""
    found: set[Version] = set()
    with open_regular(copy.path, below=copy.path.parent) as stream:
        if copy.name == "csv" and stream.readline() != csv_text.line(copy.sheet.names).encode():
            return None
        for theirs, ours in zip_longest(_theirs(stream, copy), _ours(connection, copy)):
            if theirs is None or ours is None:
                return None
            version, record = ours
            if theirs == record:
                continue
            kept = _kept(theirs, copy)
            if version not in erased or kept is None or kept != _kept(record, copy):
                return None
            found.add(version)
    return found


def _ours(connection: Connection, copy: Copy) -> Iterator[tuple[Version, Record]]:
    for batch in batches(connection, copy.sheet, copy.moment):
        for row, record in zip(batch, _encoded(batch, copy), strict=True):
            yield (row[0], row[1], row[-1]), record


def _encoded(batch: list[Row], copy: Copy) -> Iterator[Record]:
    if copy.name == "parquet":
        yield from batch
        return
    stream = io.BytesIO()
    encoder = ENCODERS[copy.name](copy.sheet, stream)
    stream.truncate(stream.seek(0))  # without the names of the columns
    encoder.write(batch)
    encoder.finish()
    stream.seek(0)
    yield from _records(stream, copy)


def _theirs(stream: IO[bytes], copy: Copy) -> Iterator[Record | None]:
    """The file's records; None where it cannot be read."""
    if copy.name != "parquet":
        yield from _records(stream, copy)
        return
    try:
        yield from parquet.rows(stream)
    except parquet.Unreadable:
        yield None


def _records(stream: IO[bytes], copy: Copy) -> Iterator[bytes]:
    """The lines; a CSV text may hold line ends, within its quotes."""
    lines: list[bytes] = []
    open_quote = False
    for line in stream:
        lines.append(line)
        open_quote ^= copy.name == "csv" and line.count(b'"') % 2 == 1
        if not open_quote:
            yield b"".join(lines)
            lines.clear()
    if lines:
        yield b"".join(lines)


def _kept(record: Record, copy: Copy) -> list[Any] | None:
    """What an erasure leaves of a row; None when it cannot be read."""
    cells = _cells(record, copy)
    if cells is None or len(cells) != len(copy.sheet.names):
        return None
    return [cell for name, cell in zip(copy.sheet.names, cells, strict=True) if name not in PERSONAL]


def _cells(record: Record, copy: Copy) -> list[Any] | None:
    if isinstance(record, tuple):
        return [str(value) if isinstance(value, datetime) else repr(value) for value in record]
    if copy.name == "csv":
        found = list(_CELL.finditer(record))
        return [cell[1] for cell in found] if b"".join(cell[0] for cell in found) == record else None
    try:
        pairs = json.loads(record, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    return [repr(pair) for pair in pairs] if isinstance(pairs, list) else None
