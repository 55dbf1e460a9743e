"""Encoders of a snapshot's tables as CSV, NDJSON or Parquet: equal rows give equal bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import IO, Any, Protocol

from etl.domain.tables import Kind
from etl.snapshot import csv_text, parquet
from etl.snapshot.rows import InstantKind, Row, Sheet, time_text

DESCRIPTION, COLUMNS = "description", "columns"
"""Keys in Parquet's metadata: the sentence of a column or of the table; the sentences of all columns, as JSON, for
readers that show the metadata of files alone."""
ROW_GROUP = 50_000
"""Number of rows in a Parquet row group, whatever the sizes of the batches."""


class Encoder(Protocol):
    """Encoder that writes rows to a binary stream; it does not close the stream."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write more rows, in order."""

    def finish(self) -> None:
        """Complete the file after the last row."""

    def abandon(self) -> None:
        """Stop without the remaining rows; call it while the stream is open. After `finish` it has no effect."""


class CsvEncoder(Encoder):
    """CSV encoder, by the rules of `csv_text`; the first line has the columns' names."""

    def __init__(self, sheet: Sheet, stream: IO[bytes]) -> None:
        self._stream = stream
        self._times = [i for i, (_, kind) in enumerate(sheet.columns) if kind is InstantKind.TIME]
        self._put([csv_text.line(sheet.names)])

    def write(self, rows: Sequence[Row]) -> None:
        """Write more lines."""
        self._put([csv_text.line(self._cells(row)) for row in rows])

    def _cells(self, row: Row) -> Sequence[Any]:
        values = list(row)
        for i in self._times:
            values[i] = None if values[i] is None else time_text(values[i])
        return values

    def _put(self, lines: Sequence[str]) -> None:
        self._stream.write("".join(lines).encode())


_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""Characters that some readers treat as line ends, and their JSON escapes."""


class NdjsonEncoder(Encoder):
    """NDJSON encoder: one object per line, members in the order of columns; `extra` is an object, times ISO 8601."""

    def __init__(self, sheet: Sheet, stream: IO[bytes]) -> None:
        self._stream = stream
        heads = ["{" + json.dumps(sheet.names[0]), *("," + json.dumps(name) for name in sheet.names[1:])]
        self._columns = [(f"{head}:", _json(kind)) for head, (_, kind) in zip(heads, sheet.columns, strict=True)]

    def write(self, rows: Sequence[Row]) -> None:
        """Write more lines."""
        columns = self._columns
        text = "".join(
            "".join([head + as_json(value) for (head, as_json), value in zip(columns, row, strict=True)]) + "}\n"
            for row in rows
        )
        self._stream.write(text.translate(_LINE_ENDS).encode() if not text.isascii() else text.encode())


_text = json.JSONEncoder(ensure_ascii=False).encode


def _json(kind: Kind | InstantKind) -> Callable[[Any], str]:
    if kind is InstantKind.TIME:
        return lambda value: "null" if value is None else f'"{time_text(value)}"'
    if kind is Kind.JSON:
        return lambda value: "null" if value is None else str(value)
    return _text


class ParquetEncoder(Encoder):
    """Parquet encoder: pyarrow, zstd, equal row groups; `extra` is JSON text. The bytes depend on pyarrow's version."""

    def __init__(self, sheet: Sheet, stream: IO[bytes]) -> None:
        parquet.require(", or choose --format csv,ndjson")
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {
            Kind.INTEGER: pa.int64(),
            Kind.TEXT: pa.string(),
            Kind.JSON: pa.string(),
            Kind.BOOLEAN: pa.bool_(),
            InstantKind.TIME: pa.timestamp("us", tz="UTC"),
        }
        said = sheet.sentences
        fields = [
            pa.field(name, types[kind], nullable=i >= sheet.keys, metadata={DESCRIPTION: said[name]})
            for i, (name, kind) in enumerate(sheet.columns)
        ]
        about = {DESCRIPTION: sheet.sentence, COLUMNS: json.dumps(said, ensure_ascii=False)}
        self._pa, self._schema = pa, pa.schema(fields, metadata=about)
        self._rows: list[Row] = []
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd", version="2.6")

    def write(self, rows: Sequence[Row]) -> None:
        """Add more rows; they are written when a row group is full."""
        self._rows += rows
        while len(self._rows) >= ROW_GROUP:
            self._group(self._rows[:ROW_GROUP])
            del self._rows[:ROW_GROUP]

    def _group(self, rows: Sequence[Row]) -> None:
        columns = list(zip(*rows, strict=True))
        arrays = [self._pa.array(c, type=f.type) for c, f in zip(columns, self._schema, strict=True)]
        self._writer.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=ROW_GROUP)

    def finish(self) -> None:
        """Write the last row group and the footer."""
        if self._rows:
            self._group(self._rows)
        self._writer.close()

    def abandon(self) -> None:
        """Close the writer now: otherwise the garbage collector would, and write the footer to a closed stream."""
        self._writer.close()


ENCODERS: dict[str, Callable[[Sheet, IO[bytes]], Encoder]] = {
    "parquet": ParquetEncoder,
    "csv": CsvEncoder,
    "ndjson": NdjsonEncoder,
}
"""Encoders by format, in the order of the files. The format's name is also the suffix of its files."""


def installed() -> tuple[str, ...]:
    """Formats whose packages are installed."""
    return tuple(name for name in ENCODERS if name != "parquet" or parquet.is_installed())
