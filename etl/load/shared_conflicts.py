"""Shared rows whose changed records contradict skipped, unchanged ones.

The listing consists of both kinds of records: without shortcuts, all of them would have been read.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from sqlalchemy import ColumnElement, Connection, Select, exists, select, union_all

from etl.domain import decimals
from etl.domain import tables as declared
from etl.domain.columns import Row
from etl.domain.tables import Kind
from etl.load.staging import stage_for
from etl.load.table_diff import statements
from etl.store import schema
from etl.transform.extras import spelled


def contradicted(connection: Connection, account_id: int, unlisted: Set[int | None]) -> Iterator[tuple[str, Row]]:
    """Current rows that differ from the staged ones and are still in a skipped record, with their tables' names.

    `unlisted`: open numbers without a usable record in the listing; their references do not count.
    """
    for table in declared.shared_tables():
        for row in _differing(connection, table, account_id):
            referrers = set(connection.scalars(_referrers(connection, table, account_id, [row[0]])))
            if referrers - unlisted:
                yield table.name, (*_as_staged(table, row), 0)


def _differing(connection: Connection, table: declared.Table, account_id: int) -> list[Row]:
    (statement,) = statements(connection.dialect.name, table.name, "differing")
    return [tuple(row) for row in connection.execute(statement, {"the_account": account_id})]


def _as_staged(table: declared.Table, row: Row) -> Row:
    """The row in the form of a staged row: its JSON is spelt as the normalizer spells it."""
    kinds = [c.kind for c in table.columns]
    return tuple(
        spelled(decimals.loads(value)) if kind is Kind.JSON and value is not None else value
        for kind, value in zip(kinds, row, strict=True)
    )


def _referrers(connection: Connection, table: declared.Table, account_id: int, ids: list[int]) -> Select[tuple[int]]:
    """Numbers that refer to the rows, directly or through other shared rows, and whose records were not read."""
    referring = union_all(*_referring(table, account_id, ids)).subquery()
    numbers = stage_for(connection.dialect.name).tables["virtual_numbers"]
    read = exists().where(numbers.c.virtual_number_id == referring.c.virtual_number_id)
    return select(referring.c.virtual_number_id).where(~read)


def _referring(
    table: declared.Table, account_id: int, ids: list[int] | Select[tuple[int]]
) -> Iterator[Select[tuple[int]]]:
    for other, reference in declared.referrers(table):
        rows = schema.current[other.name]
        mine: list[ColumnElement[bool]] = [rows.c.account_id == account_id, rows.c[reference.columns[0]].in_(ids)]
        if other.per_number:
            yield select(rows.c.virtual_number_id).where(*mine)
        else:
            yield from _referring(other, account_id, select(rows.c[other.key_names[0]]).where(*mine))
