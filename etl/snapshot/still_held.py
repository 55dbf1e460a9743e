"""Search for erased content in a snapshot from before the erasure, if the snapshot differs by nothing else."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from msgspec import Struct
from sqlalchemy import Connection

from etl.domain import tables as declared
from etl.files import open_regular
from etl.read.erased import Version
from etl.snapshot import csv_text, parquet
from etl.snapshot.encoders import ENCODERS
from etl.snapshot.rows import Row, Sheet, batches

PERSONAL = frozenset(c.name for c in declared.VIRTUAL_NUMBERS.personal)
_CELL = re.compile(rb'(?<![^,\n])("(?:[^"]|"")*+"|[^,"\n]*+)([,\n])')  # begins only after a separator: linear time
Record = bytes | tuple[Any, ...]
"""Row of a file: its bytes, or the values of a Parquet row."""


class Copy(Struct, frozen=True, kw_only=True):
    """File of a snapshot: one table in one format."""

    sheet: Sheet
    name: str
    path: Path
    moment: datetime


def still_held(connection: Connection, copy: Copy, erased: Mapping[Version, datetime]) -> set[Version] | None:
    """Erased versions whose content the file still has; None if the file differs in anything else."""
    found: set[Version] = set()
    with open_regular(copy.path, below=copy.path.parent) as stream:
        if copy.name == "csv" and stream.readline() != csv_text.line(copy.sheet.names).encode():
            return None
        for in_file, in_warehouse in zip_longest(_of_file(stream, copy), _of_warehouse(connection, copy)):
            if in_file is None or in_warehouse is None:
                return None
            version, record = in_warehouse
            if in_file == record:
                continue
            kept = _kept(in_file, copy)
            if version not in erased or kept is None or kept != _kept(record, copy):
                return None
            found.add(version)
    return found


def _of_warehouse(connection: Connection, copy: Copy) -> Iterator[tuple[Version, Record]]:
    began = copy.sheet.names.index("valid_from")
    for batch in batches(connection, copy.sheet, copy.moment):
        for row, record in zip(batch, _encoded(batch, copy), strict=True):
            yield (row[0], row[1], row[began]), record


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


def _of_file(stream: IO[bytes], copy: Copy) -> Iterator[Record | None]:
    """Records of the file; None at a point where it cannot be read."""
    if copy.name != "parquet":
        yield from _records(stream, copy)
        return
    try:
        yield from parquet.rows(stream)
    except parquet.Unreadable:
        yield None


def _records(stream: IO[bytes], copy: Copy) -> Iterator[bytes]:
    """Records of a text file: its lines; in CSV, line ends within quotes do not end a record."""
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
    """Cells of a row that an erasure does not change; None if the row cannot be read."""
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
