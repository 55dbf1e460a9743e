"""Two histories side by side: how many versions of each account and table are in one warehouse and not in the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, cast, null, or_, select, union_all

from etl.domain import tables as declared
from etl.store import schema
from etl.store.engine import database_errors

Version = tuple[tuple[Any, ...], tuple[Any, ...]]
"""What orders versions (key, valid_from), and all that is compared."""
BATCH = 5_000


@dataclass(frozen=True, kw_only=True)
class TableDifference:
    """One table of one account: versions in both, and in one of the two only.

    A version that was edited counts on both sides. `first_key`: of the first that differs.
    """

    account_id: int
    table: str
    same: int
    only_warehouse: int
    only_replay: int
    first_key: str | None = None


@dataclass(frozen=True)
class Span:
    """The time that both know: of what was before, only what still held counts, as if it had begun then."""

    begin: datetime
    end: datetime


def differences(warehouse: Engine, replayed: Engine, spans: dict[int, Span]) -> Iterator[TableDifference]:
    """Compare the accounts of `spans`, table by table; a few thousand versions are in memory at a time."""
    with database_errors(), warehouse.connect() as left, replayed.connect() as right:
        for account_id, span in sorted(spans.items()):
            for table in declared.TABLES:
                yield _compared(
                    account_id,
                    table,
                    _versions(left, table, account_id, span),
                    _versions(right, table, account_id, span),
                )


def _compared(
    account_id: int, table: declared.Table, left: Iterator[Version], right: Iterator[Version]
) -> TableDifference:
    same = more = less = 0
    first: tuple[Any, ...] | None = None
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if one == other:
            same, one, other = same + 1, next(left, None), next(right, None)
            continue
        lower = min(v[0] for v in (one, other) if v is not None)
        first = first or lower
        if one is not None and one[0] == lower:
            more, one = more + 1, next(left, None)
        if other is not None and other[0] == lower:
            less, other = less + 1, next(right, None)
    key = None if first is None else ", ".join(str(part) for part in first[:-1])
    return TableDifference(
        account_id=account_id, table=table.name, same=same, only_warehouse=more, only_replay=less, first_key=key
    )


def _versions(connection: Connection, table: declared.Table, account_id: int, span: Span) -> Iterator[Version]:
    """The versions of the span in the order of their keys, ends beyond it left open."""
    keys = len(table.key)
    statement = _select(table, account_id, span).execution_options(yield_per=BATCH)
    for row in connection.execute(statement):
        *values, valid_from, valid_to = row
        begin = max(valid_from, span.begin)
        end = None if valid_to is None or valid_to > span.end else valid_to
        yield (*values[:keys], begin), (*values, begin, end)


def _select(table: declared.Table, account_id: int, span: Span) -> Select[Any]:
    current, closed = schema.current[table.name].c, schema.closed[table.name].c
    names = [c.name for c in table.columns]
    ended = schema.closed[table.name].c.valid_to.type
    both = union_all(
        select(*(current[n] for n in names), current.valid_from, cast(null(), ended).label("valid_to")).where(
            current.account_id == account_id
        ),
        select(*(closed[n] for n in names), closed.valid_from, closed.valid_to).where(closed.account_id == account_id),
    ).subquery()
    known = (both.c.valid_from <= span.end, or_(both.c.valid_to.is_(null()), both.c.valid_to > span.begin))
    return select(both).where(*known).order_by(*(both.c[k] for k in table.key_names), both.c.valid_from)
