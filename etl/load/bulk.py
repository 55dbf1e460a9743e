"""Bulk writing of rows by each database's fastest way: COPY, or INSERT statements of a hundred rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from etl.domain.columns import Row

BATCH = 100
"""Rows in one INSERT of SQLite, which takes at most 32 766 parameters; the widest table needs twelve a row."""


def insert(driver: Any, into: str, values: str, rows: Sequence[Row]) -> None:
    """Insert rows into SQLite. `values`: the VALUES of one row, with a ? for each of its items.

    A statement inserts a hundred rows, because a statement's start and end cost as much time as several rows. After an
    error the caller rolls the transaction back, so `or fail`: with `abort`, SQLite would first write a copy of every
    page that a statement of many rows changes, to undo this statement alone.
    """
    whole = len(rows) - len(rows) % BATCH
    together = (list(chain.from_iterable(rows[at : at + BATCH])) for at in range(0, whole, BATCH))
    driver.executemany(f"insert or fail into {into} values {', '.join([values] * BATCH)}", together)  # noqa: S608 - declared
    driver.executemany(f"insert or fail into {into} values {values}", rows[whole:])  # noqa: S608 - declared names


def copy_rows(driver: Any, into: str, kinds: Sequence[str], rows: Iterable[Row]) -> None:
    """COPY rows into PostgreSQL. `kinds`: the types of their values."""
    with driver.cursor().copy(f"copy {into} from stdin (format binary)") as copy:
        copy.set_types(kinds)
        write = copy.write_row
        for row in rows:
            write(row)


def copy_text(driver: Any, into: str, text: str) -> None:
    """COPY lines of COPY's text format into PostgreSQL."""
    with driver.cursor().copy(f"copy {into} from stdin") as copy:
        copy.write(text)
