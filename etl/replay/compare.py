"""Two histories side by side: how many versions of each account and table are in one warehouse and not in the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, cast, null, or_, select, union_all

from etl.domain import tables as declared
from etl.replay.erased import Version, alike
from etl.store import schema
from etl.store.engine import database_errors

BATCH = 5_000


@dataclass(frozen=True, kw_only=True)
class TableDifference:
    """One table of one account: versions in both, and in one of the two only.

    A version that was edited counts on both sides; `erased`: those of the warehouse that differ only because their
    personal content was erased from it, and count nowhere else. `first_key`: of the first that differs.
    """

    account_id: int
    table: str
    same: int
    only_warehouse: int
    only_replay: int
    erased: int = 0
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
            erased = _erased(left, account_id, span)
            for table in declared.TABLES:
                count = _Count()
                one, other = (_versions(c, table, account_id, span) for c in (left, right))
                if table is declared.VIRTUAL_NUMBERS:
                    _compare_numbers(count, one, other, erased)
                else:
                    count.take(one, other)
                yield count.told(account_id, table)


def accounts_erased_from(warehouse: Engine) -> set[int]:
    """The accounts of which a number was erased."""
    with database_errors(), warehouse.connect() as connection:
        return set(connection.scalars(select(schema.erasures.c.account_id).distinct()))


@dataclass
class _Count:
    """What was compared so far in one table of one account."""

    same: int = 0
    more: int = 0
    less: int = 0
    erased: int = 0
    first: tuple[Any, ...] | None = None

    def take(self, left: Iterator[Version], right: Iterator[Version]) -> None:
        """Compare versions, which come in the order of their keys."""
        one, other = next(left, None), next(right, None)
        while one is not None or other is not None:
            if one == other:
                self.same, one, other = self.same + 1, next(left, None), next(right, None)
                continue
            lower = min(v[0] for v in (one, other) if v is not None)
            self.first = self.first or lower
            if one is not None and one[0] == lower:
                self.more, one = self.more + 1, next(left, None)
            if other is not None and other[0] == lower:
                self.less, other = self.less + 1, next(right, None)

    def told(self, account_id: int, table: declared.Table) -> TableDifference:
        """The outcome."""
        return TableDifference(
            account_id=account_id,
            table=table.name,
            same=self.same,
            only_warehouse=self.more,
            only_replay=self.less,
            erased=self.erased,
            first_key=None if self.first is None else ", ".join(str(part) for part in self.first[:-1]),
        )


def _erased(connection: Connection, account_id: int, span: Span) -> dict[int, set[datetime]]:
    """When the versions began that were erased from the warehouse, by number; as `_versions` tells it."""
    rows, out = schema.erasures.c, dict[int, set[datetime]]()
    mine = select(rows.virtual_number_id, rows.valid_from).where(rows.account_id == account_id)
    for number_id, valid_from in connection.execute(mine):
        out.setdefault(number_id, set()).add(max(valid_from, span.begin))
    return out


def _compare_numbers(
    count: _Count, left: Iterator[Version], right: Iterator[Version], erased: Mapping[int, set[datetime]]
) -> None:
    """Compare numbers; those that something was erased from as a whole, when all others are through."""
    ours, theirs = defaultdict[int, list[Version]](list), defaultdict[int, list[Version]](list)
    count.take(_apart(left, erased, ours), _apart(right, erased, theirs))
    for number_id in sorted(erased):
        one, other = ours[number_id], theirs[number_id]
        if one != other and alike(one, other, erased[number_id]):
            count.erased += len(one)
        else:
            count.take(iter(one), iter(other))


def _apart(
    versions: Iterator[Version], numbers: Container[int], kept: Mapping[int, list[Version]]
) -> Iterator[Version]:
    """The versions, those of certain numbers put into `kept` instead."""
    for version in versions:
        number_id = version[0][-2]
        if number_id in numbers:
            kept[number_id].append(version)
        else:
            yield version


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
