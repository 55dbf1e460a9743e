"""Columns of one declared table, as canonical text: the input of COPY and of the chain's digests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain, pairwise, repeat
from typing import Any

from etl.domain.canonical import NULL, field, json_text, named_field, plain
from etl.domain.tables import Column, Kind, Table

Row = tuple[Any, ...]
Values = Sequence[Any]
"""One column's values, from the first row to the last."""

_TRUTH = {None: NULL, True: "t", False: "f"}
MISSING = "missing"
"""Name of the last item of a row: the bits of fields that the source did not report (see `tables.missing_bit`)."""


class Columns:
    """Rows of a table, column by column: at least one row, each key once, in the order of the keys.

    A column that is null in all rows may be absent.
    """

    def __init__(self, table: Table, values: Mapping[str, Values]) -> None:
        self.table, self._values = table, values
        self._texts: dict[str, Sequence[str]] = {}

    @classmethod
    def of(cls, table: Table, rows: Collection[Row]) -> Columns:
        """The columns of rows in any order, each with its `MISSING` bits at the end if the table has values.

        Rows begin with their key, which is unique, so sorted rows are in the order of their keys.
        """
        ordered = sorted(rows)
        names = [*(c.name for c in table.columns), MISSING]
        return cls(table, dict(zip(names, zip(*ordered, strict=True), strict=False)))

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """The columns of some rows and those of others, which have other keys; at least one part."""
        first, *others = parts
        if not others:
            return first
        names = list(first._values)
        if all(one.last < another.first for one, another in pairwise(parts)):
            values = {name: tuple(chain.from_iterable(part._values[name] for part in parts)) for name in names}
            return cls(first.table, values)
        return cls.of(first.table, [row for part in parts for row in part.rows(names)])

    def __len__(self) -> int:
        return len(self._values[self.table.key_names[0]])

    @property
    def first(self) -> tuple[int, ...]:
        """The lowest key."""
        return tuple(self._values[name][0] for name in self.table.key_names)

    @property
    def last(self) -> tuple[int, ...]:
        """The highest key."""
        return tuple(self._values[name][-1] for name in self.table.key_names)

    @property
    def used(self) -> list[str]:
        """The table's columns in which some row has a value."""
        return [c.name for c in self.table.columns if (values := self._values.get(c.name)) and _any(values)]

    @property
    def transported(self) -> dict[str, Values]:
        """The values from which another process can make these columns again."""
        missing = self._values.get(MISSING, ())
        return {name: self._values[name] for name in self.used} | ({MISSING: missing} if any(missing) else {})

    def values(self, name: str) -> Values:
        """The values of one column."""
        return self._values.get(name) or (None,) * len(self)

    def rows(self, names: Iterable[str]) -> Iterator[Row]:
        """The rows, with these columns only."""
        return zip(*map(self.values, names), strict=True)

    def staged(self) -> list[Row]:
        """The rows for staging: all columns, and the `MISSING` bits if the table has values."""
        columns = [self.values(c.name) for c in self.table.columns]
        if self.table.values:
            columns.append(self._values.get(MISSING) or (0,) * len(self))
        return list(zip(*columns, strict=True))

    def copied(self) -> Iterator[str]:
        """Each row's fields as COPY reads them, with tabs between them and without a line end."""
        return _joined(map(self._text, self.table.columns))

    def opened(self) -> bytes:
        """The rows as the chain's lines of opened versions; a digest replaces personal values (docs/chain.md)."""
        digests = [self._digests()] if self.table.personal else []
        return ("\n".join(self._sealed(self.table.plain, *digests)) + "\n").encode()

    def _digests(self) -> Sequence[str]:
        return [sha256(line.encode()).hexdigest() for line in self._sealed(self.table.personal)]

    def _sealed(self, columns: Iterable[Column], *more: Sequence[str]) -> Iterator[str]:
        """Lines of the columns of the first release, of `more`, and of later columns where they are not null."""
        columns = list(columns)
        lines = _joined([*(self._text(c) for c in columns if not c.later), *more])
        for column in columns:
            if column.later:
                lines = map(_with_field, lines, repeat(column.name), self._text(column))
        return lines

    def _text(self, column: Column) -> Sequence[str]:
        """A column as text, computed once."""
        if (known := self._texts.get(column.name)) is not None:
            return known
        values = self.values(column.name)
        made = self._texts[column.name] = _WRITTEN[column.kind](values) if _any(values) else [NULL] * len(values)
        return made


def _with_field(line: str, name: str, text: str) -> str:
    return line if text == NULL else f"{line}\t{named_field(name, text)}"


def _joined(fields: Iterable[Sequence[str]]) -> Iterator[str]:
    return map("\t".join, zip(*fields, strict=True))


def _any(values: Values) -> bool:
    """Whether some of the values are not null."""
    return values[0] is not None or values.count(None) < len(values)


def _whole_numbers(values: Values) -> Sequence[str]:
    return list(map(str, values)) if None not in values else [NULL if v is None else str(v) for v in values]


def _words(values: Values) -> Sequence[str]:
    """Text; in one step if nothing in the whole column has to be escaped, which is usual."""
    if not plain("".join([v for v in values if v is not None])):
        return list(map(field, values))
    return values if None not in values else [NULL if v is None else v for v in values]


def _truths(values: Values) -> Sequence[str]:
    return list(map(_TRUTH.__getitem__, values))


def _json(values: Values) -> Sequence[str]:
    return [field(json_text(value)) for value in values]


_WRITTEN: dict[Kind, Callable[[Values], Sequence[str]]] = {
    Kind.INTEGER: _whole_numbers,
    Kind.TEXT: _words,
    Kind.BOOLEAN: _truths,
    Kind.JSON: _json,
}
