"""Numbers of which some element could not be read: their rows that were not seen again stay open.

The unreadable element may stand for any of them. So they are staged as they are current, and the diff finds them
unchanged; it needs to know nothing of this.
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
"""Ids of numbers, each with the name of a table of which an element of that number could not be read."""


def keep_unseen(connection: Connection, account_id: int, partly_read: PartlyRead) -> None:
    """Stage the current rows of these numbers, in these tables, whose keys are not staged.

    A row that hangs on another row of its number, as a site block does on its campaign, is kept with that row only.
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
    unseen = ~_some(staged, current, table.key_names)
    kept = select(*values, *([literal_column("0")] if table.values else [])).join_from(current, stage.partial, partial)
    mine = current.c.account_id == bindparam("the_account", type_=ID)
    held = [_some(stage.tables[r.table], current, r.columns) for r in table.references if r.table in _links(stage)]
    return insert(staged).from_select([c.name for c in staged.columns], kept.where(mine, unseen, *held))


def _links(stage: Stage) -> list[str]:
    return [name for name in stage.tables if declared.BY_NAME[name].per_number]


def _some(staged: Table, current: Table, columns: tuple[str, ...]) -> ColumnElement[bool]:
    """Some staged row has these columns of the current row; each table's key begins with columns of these names."""
    return exists(literal_column("1")).where(*(staged.c[name] == current.c[name] for name in columns))
