"""The first load of an account: there is nothing to compare with, so its rows go straight into the current tables.

That needs the moment of the observation before the first row is written, so the listing is whole by then. What the
seal digests is made of the same rows on their way; only where they did not come in the order of their keys, it is read
back (`seal`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from etl.domain import chain
from etl.domain import tables as declared
from etl.domain.chain import Change, Lines, Section
from etl.domain.columns import Columns
from etl.domain.runs import TableChange
from etl.load import bulk
from etl.load.diff import Moment
from etl.load.seal import section

Batch = Mapping[str, Columns]
"""Rows by the name of their table."""


class FirstLoad:
    """Takes an account's rows, each key once in all calls together; none of its rows may be current."""

    def __init__(self, connection: Connection, moment: Moment) -> None:
        self._connection, self._moment = connection, moment
        self._write = _copy if connection.dialect.name == "postgresql" else _insert
        self._sealed = {table.name: _Sealed() for table in declared.TABLES}

    def take(self, batches: Iterable[Batch]) -> None:
        """Write the rows of all batches."""
        driver: Any = self._connection.connection.driver_connection
        for batch in batches:
            for name, columns in batch.items():
                self._write(driver, columns, self._moment)
                self._sealed[name].take(columns)

    def changes(self) -> dict[str, TableChange]:
        """How many versions were opened, by table name."""
        return {name: TableChange(opened=sealed.lines.versions) for name, sealed in self._sealed.items()}

    def sections(self) -> Iterator[Section]:
        """What was opened, for the seal, in the order of the tables."""
        for table in declared.TABLES:
            sealed = self._sealed[table.name]
            if sealed.lines.versions and sealed.in_order:
                yield sealed.lines.section(table.name, Change.OPENED)
            elif sealed.lines.versions:
                yield section(self._connection, table, Change.OPENED, self._moment)


class _Sealed:
    """The lines of one table so far, and whether they came in the order of their keys."""

    def __init__(self) -> None:
        self.lines, self.in_order = Lines(), True
        self._last: tuple[int, ...] | None = None

    def take(self, columns: Columns) -> None:
        self.in_order &= self._last is None or self._last < columns.first
        self._last = columns.last
        self.lines.extend_by(columns.opened(), columns.values(columns.table.key_names[0]))


def _copy(driver: Any, columns: Columns, moment: Moment) -> None:
    names = [c.name for c in columns.table.columns]
    begin = f"{moment.account_id}\t"
    end = f"\t{chain.moment(moment.observed_at)}+00\t{moment.run_id}\n"
    into = f"{columns.table.name} (account_id, {', '.join(names)}, valid_from, opened_run_id)"
    bulk.copy_text(driver, into, f"{begin}{(end + begin).join(columns.copied())}{end}")


def _insert(driver: Any, columns: Columns, moment: Moment) -> None:
    names = columns.used
    rest = f"'{chain.moment(moment.observed_at)}', {moment.account_id}, {moment.run_id}"
    into = f"{columns.table.name} ({', '.join(names)}, valid_from, account_id, opened_run_id)"
    bulk.insert(driver, into, f"({'?, ' * len(names)}{rest})", columns.tuples(names))
