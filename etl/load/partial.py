"""Partly read numbers: some element of their record could not be read, so their rows that did not come again stay open.

The unreadable element may be any of these rows. So their current rows are staged, and the diff finds them unchanged,
without a rule of its own for this case.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    insert,
    literal_column,
    select,
)

from etl.domain import tables as declared
from etl.domain.tables import Kind
from etl.load.staging import Stage, put_partial, stage_for
from etl.store import schema
from etl.store.types import ID

PartlyRead = Collection[tuple[int, str]]
"""Ids of numbers, each with the name of the table to which an unreadable element of its record belongs."""


def keep_unseen(connection: Connection, account_id: int, partly_read: PartlyRead) -> None:
    """Stage the current rows of these numbers, in these tables, whose keys are not staged yet.

    A row that refers to another row of its number, as a site block to its campaign, is kept only if that row is staged.
    """
    put_partial(connection, partly_read)
    unread = {name for _, name in partly_read}
    for table in declared.TABLES:
        if table.name in unread:
            connection.execute(_keep(connection.dialect.name, table.name), {"the_account": account_id})


@cache
def _keep(dialect: str, name: str) -> Insert:
    table, stage = declared.BY_NAME[name], stage_for(dialect)
    current, staged = schema.current[name], stage.tables[name]
    values: list[ColumnElement[Any]] = [
        cast(current.c[c.name], Text) if c.kind is Kind.JSON else current.c[c.name] for c in table.columns
    ]
    partial = and_(stage.partial.c.virtual_number_id == current.c.virtual_number_id, stage.partial.c.table_name == name)
    unseen = ~_exists(staged, current, table.key_names)
    kept = select(*values, *([literal_column("0")] if table.values else [])).join_from(current, stage.partial, partial)
    mine = current.c.account_id == bindparam("the_account", type_=ID)
    held = [_exists(stage.tables[r.table], current, r.columns) for r in table.references if r.table in _links(stage)]
    return insert(staged).from_select([c.name for c in staged.columns], kept.where(mine, unseen, *held))


def _links(stage: Stage) -> list[str]:
    return [name for name in stage.tables if declared.BY_NAME[name].per_number]


def _exists(staged: Table, current: Table, columns: tuple[str, ...]) -> ColumnElement[bool]:
    """Some staged row has the current row's values in `columns`, which are the first ones of its table's key."""
    return exists(literal_column("1")).where(*(staged.c[name] == current.c[name] for name in columns))
