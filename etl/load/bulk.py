"""Bulk writing of rows by each database's fastest way: COPY, or INSERT statements of a hundred rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any

from etl.domain.columns import Row

BATCH = 100
"""Rows in one INSERT of SQLite, which takes at most 32 766 parameters; the widest table needs twelve a row."""


def insert(driver: Any, into: str, values: str, rows: Iterable[Row], count: int) -> None:
    """Insert rows into SQLite. `into`: a table, and its columns if not all; `values`: the VALUES of one row, with a ?
    for each of its items; `count`: how many rows there are.

    A statement inserts a hundred rows, because a statement's start and end cost as much time as several rows. After an
    error the caller rolls the transaction back, so `or fail`: with `abort`, SQLite would first write a copy of every
    page that a statement of many rows changes, to undo this statement alone.
    """
    insertion = f"insert {_on_conflict(driver, into.split()[0])} into {into} values "  # noqa: S608 - declared names
    left = iter(rows)
    if whole := count // BATCH:
        together = (list(chain.from_iterable(islice(left, BATCH))) for _ in range(whole))
        driver.executemany(insertion + ", ".join([values] * BATCH), together)
    if count % BATCH:
        driver.executemany(insertion + values, left)


def _on_conflict(driver: Any, table: str) -> str:
    """The conflict clause: none for a table with triggers, which are others': it would also rule their statements."""
    with_triggers = "select 1 from sqlite_master where type = 'trigger' and lower(tbl_name) = ?"
    return "" if driver.execute(with_triggers, (table,)).fetchone() else "or fail"


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
