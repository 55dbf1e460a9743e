"""Rows of one declared table, column by column, as canonical text: what COPY reads, and what the chain digests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from etl.domain.canonical import NULL, field, json_text, plain
from etl.domain.tables import Column, Kind, Table

Row = tuple[Any, ...]
Values = Sequence[Any]
"""One column's values, from the first row to the last."""

_TRUTH = {None: NULL, True: "t", False: "f"}
MISSING = "missing"
"""The bits of a row's fields that the source did not report, behind its columns: see `tables.missing_bit`."""


class Columns:
    """Rows of a table, at least one, each key once, in the order of their keys.

    A column that is null in all rows may be missing.
    """

    def __init__(self, table: Table, values: Mapping[str, Values]) -> None:
        self.table, self._values = table, values
        self._texts: dict[str, Sequence[str]] = {}

    @classmethod
    def of(cls, table: Table, rows: Collection[Row]) -> Columns:
        """Rows in any order, each with its `MISSING` bits at the end where the table has values.

        They begin with their key, which no other row has, so whole rows are in order when their keys are.
        """
        ordered = sorted(rows)
        names = [*(c.name for c in table.columns), MISSING]
        return cls(table, dict(zip(names, zip(*ordered, strict=True), strict=False)))

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
        """The values to make these columns of once more, in another process."""
        missing = self._values.get(MISSING, ())
        return {name: self._values[name] for name in self.used} | ({MISSING: missing} if any(missing) else {})

    def values(self, name: str) -> Values:
        """One column."""
        return self._values.get(name) or (None,) * len(self)

    def tuples(self, names: Iterable[str]) -> list[Row]:
        """The rows again, of these columns only."""
        return list(zip(*map(self.values, names), strict=True))

    def staged(self) -> list[Row]:
        """The rows as they are staged: all columns, and the `MISSING` bits where the table has values."""
        columns = [self.values(c.name) for c in self.table.columns]
        if self.table.values:
            columns.append(self._values.get(MISSING) or (0,) * len(self))
        return list(zip(*columns, strict=True))

    def copied(self) -> Iterator[str]:
        """Each row's fields as COPY takes them, with tabs between them and no end of line."""
        return self._lines(self.table.columns)

    def opened(self) -> bytes:
        """The rows as the chain's lines of opened versions: a digest stands for what is personal (docs/chain.md)."""
        lines = self.copied() if not self.table.personal else self._with_digests()
        return ("\n".join(lines) + "\n").encode()

    def _with_digests(self) -> Iterator[str]:
        others = self._lines([c for c in self.table.columns if not c.personal])
        personal = [sha256(line.encode()).hexdigest() for line in self._lines(self.table.personal)]
        return map("\t".join, zip(others, personal, strict=True))

    def _lines(self, columns: Iterable[Column]) -> Iterator[str]:
        return map("\t".join, zip(*map(self._text, columns), strict=True))

    def _text(self, column: Column) -> Sequence[str]:
        """A column as text, worked out once."""
        if (known := self._texts.get(column.name)) is not None:
            return known
        values = self.values(column.name)
        made = self._texts[column.name] = _WRITTEN[column.kind](values) if _any(values) else [NULL] * len(values)
        return made


def _any(values: Values) -> bool:
    """Whether some of the values are not null."""
    return values[0] is not None or values.count(None) < len(values)


def _whole_numbers(values: Values) -> Sequence[str]:
    return list(map(str, values)) if None not in values else [NULL if v is None else str(v) for v in values]


def _words(values: Values) -> Sequence[str]:
    """Text; where nothing has to be escaped in the whole column, which is usual, in one go."""
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
