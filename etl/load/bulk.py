"""Many rows into a table, by each database's fastest way: COPY, or statements that take a hundred rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from etl.domain.columns import Row

TOGETHER = 100
"""Rows in one of SQLite's statements; of the 32 766 parameters that it takes our widest table needs twelve a row."""


def insert(driver: Any, into: str, values: str, rows: Sequence[Row]) -> None:
    """Insert rows into SQLite; `values` is what one row's VALUES are, with a ? for each of its items.

    A hundred rows to a statement: each statement takes as long to begin and to end as some rows do.
    """
    whole = len(rows) - len(rows) % TOGETHER
    together = (list(chain.from_iterable(rows[at : at + TOGETHER])) for at in range(0, whole, TOGETHER))
    driver.executemany(f"insert into {into} values {', '.join([values] * TOGETHER)}", together)  # noqa: S608 - declared
    driver.executemany(f"insert into {into} values {values}", rows[whole:])  # noqa: S608 - declared names


def copy_rows(driver: Any, into: str, kinds: Sequence[str], rows: Iterable[Row]) -> None:
    """COPY rows into PostgreSQL; `kinds`: the types of their values."""
    with driver.cursor().copy(f"copy {into} from stdin (format binary)") as copy:
        copy.set_types(kinds)
        write = copy.write_row
        for row in rows:
            write(row)


def copy_text(driver: Any, into: str, text: str) -> None:
    """COPY lines into PostgreSQL that are written as COPY reads them."""
    with driver.cursor().copy(f"copy {into} from stdin") as copy:
        copy.write(text)
