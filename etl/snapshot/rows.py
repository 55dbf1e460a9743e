"""The tables of a snapshot: their columns, and their rows as of an instant, equal on both databases.

A snapshot has nine tables: `accounts` and the eight tables of current rows, or the eight histories instead of these.

Run ids are left out: they describe how rows were loaded, not the state of the source, and a warehouse that was rebuilt
from an archive has other run ids. Without them, equal observations give equal rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from etl.domain import decimals
from etl.domain import tables as declared
from etl.domain.tables import Kind
from etl.read import as_of
from etl.store.relations import relation
from etl.store.streams import BATCH, stream
from etl.transform.extras import spelled

Row = tuple[Any, ...]


class InstantKind(Enum):
    """Kind of the columns `valid_from` and `valid_to`, the only kind that the declared data tables do not have."""

    TIME = "time"


class Sheet(Struct, frozen=True, kw_only=True):
    """Table of a snapshot: names and kinds of its columns; rows are ordered by the first `keys` columns.

    `table`: the declared table that the rows are of, None for accounts; `history`: whether all its versions are rows,
    ordered by `valid_from` too, instead of those that are valid at the instant.
    """

    name: str
    columns: tuple[tuple[str, Kind | InstantKind], ...]
    keys: int
    table: declared.Table | None = None
    history: bool = False

    @property
    def sentence(self) -> str:
        """The sentence about the table's rows."""
        return relation(self.name).sentence

    @property
    def sentences(self) -> dict[str, str]:
        """The sentence of each column."""
        known = {column.name: column.meaning.sentence for column in relation(self.name).columns}
        return {name: known[name] for name in self.names}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(name for name, _ in self.columns)


ACCOUNTS = Sheet(
    name="accounts",
    columns=(("account_id", Kind.INTEGER), ("account_name", Kind.TEXT), ("timezone", Kind.TEXT)),
    keys=1,
)


def _sheet(table: declared.Table, *, history: bool) -> Sheet:
    own = tuple((c.name, c.kind) for c in table.columns)
    columns: tuple[tuple[str, Kind | InstantKind], ...] = (
        ("account_id", Kind.INTEGER),
        *own,
        ("valid_from", InstantKind.TIME),
        *((("valid_to", InstantKind.TIME),) if history else ()),
    )
    name = f"{table.name}_history" if history else table.name
    return Sheet(name=name, columns=columns, keys=1 + len(table.key), table=table, history=history)


SHEETS: tuple[Sheet, ...] = (ACCOUNTS, *(_sheet(table, history=False) for table in declared.TABLES))
"""The nine tables of a snapshot of one moment, `accounts` first."""
HISTORY_SHEETS: tuple[Sheet, ...] = (ACCOUNTS, *(_sheet(table, history=True) for table in declared.TABLES))
"""The nine tables of a snapshot of the history up to a moment, `accounts` first."""


def batches(connection: Connection, sheet: Sheet, moment: datetime) -> Iterator[list[Row]]:
    """Rows of a sheet as of an instant, ordered by key, a bounded number at a time.

    Values are None, int, bool and str (JSON as canonical text), and aware datetimes in UTC.
    """
    if sheet.table is None:
        yield [(seen.account_id, seen.account_name, seen.timezone) for seen in as_of.observed(connection, moment)]
        return
    texts = [i for i, (_, kind) in enumerate(sheet.columns) if kind is Kind.JSON]
    batch: list[Row] = []
    for row in stream(connection, (as_of.versions if sheet.history else as_of.rows)(sheet.table, moment)):
        batch.append(_with_text(row, texts) if texts else tuple(row))
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _with_text(row: Sequence[Any], texts: Sequence[int]) -> Row:
    values = list(row)
    for i in texts:
        if values[i] is not None:
            values[i] = _canonical(values[i])
    return tuple(values)


def _canonical(stored: str) -> str:
    """JSON in one spelling: sorted keys, no blanks. Databases store JSON in different spellings."""
    return spelled(decimals.loads(stored))


@lru_cache(maxsize=1024)  # rows share the few instants at which they were observed
def time_text(instant: datetime) -> str:
    """Instant in UTC as text, always with microseconds: `2026-01-31T09:30:00.000000Z`."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
