"""Comparison of two histories: how many versions of each account and table are in only one of two warehouses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, Select, cast, null, or_, select, union_all

from etl.domain import tables as declared
from etl.replay.erased import Version, alike
from etl.store import schema
from etl.store.engine import database_errors

BATCH = 5_000


class TableDifference(Struct, frozen=True, kw_only=True):
    """Counts for one table of one account: versions in both warehouses, and in only one of the two.

    A version that was edited counts on both sides. `erased`: versions that differ only because their personal content
    was erased from the warehouse; they count nowhere else. `first_key`: key of the first version that differs.
    """

    account_id: int
    table: str
    same: int
    only_warehouse: int
    only_replay: int
    erased: int = 0
    first_key: str | None = None


class Span(Struct, frozen=True):
    """Time range that both histories cover. A version that began earlier and was still valid counts from `begin`."""

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
                yield count.result(account_id, table)


def accounts_erased_from(warehouse: Engine) -> set[int]:
    """Accounts with an erased number."""
    with database_errors(), warehouse.connect() as connection:
        return set(connection.scalars(select(schema.erasures.c.account_id).distinct()))


class _Count(Struct):
    """Counts so far in one table of one account."""

    same: int = 0
    only_left: int = 0
    only_right: int = 0
    erased: int = 0
    first: tuple[Any, ...] | None = None

    def take(self, left: Iterator[Version], right: Iterator[Version]) -> None:
        """Compare versions; both iterators must yield them in the order of their keys."""
        one, other = next(left, None), next(right, None)
        while one is not None or other is not None:
            if one == other:
                self.same, one, other = self.same + 1, next(left, None), next(right, None)
                continue
            lower = min(v[0] for v in (one, other) if v is not None)
            self.first = self.first or lower
            if one is not None and one[0] == lower:
                self.only_left, one = self.only_left + 1, next(left, None)
            if other is not None and other[0] == lower:
                self.only_right, other = self.only_right + 1, next(right, None)

    def result(self, account_id: int, table: declared.Table) -> TableDifference:
        """Counts as the result for one table."""
        return TableDifference(
            account_id=account_id,
            table=table.name,
            same=self.same,
            only_warehouse=self.only_left,
            only_replay=self.only_right,
            erased=self.erased,
            first_key=None if self.first is None else ", ".join(str(part) for part in self.first[:-1]),
        )


def _erased(connection: Connection, account_id: int, span: Span) -> dict[int, set[datetime]]:
    """By number: start times of the versions that were erased from the warehouse, clipped as `_versions` does."""
    rows, out = schema.erasures.c, dict[int, set[datetime]]()
    mine = select(rows.virtual_number_id, rows.valid_from).where(rows.account_id == account_id)
    for number_id, valid_from in connection.execute(mine):
        out.setdefault(number_id, set()).add(max(valid_from, span.begin))
    return out


def _compare_numbers(
    count: _Count, left: Iterator[Version], right: Iterator[Version], erased: Mapping[int, set[datetime]]
) -> None:
    """Compare versions of numbers; each number with an erasure is compared as a whole, after all others."""
    from_left, from_right = defaultdict[int, list[Version]](list), defaultdict[int, list[Version]](list)
    count.take(_without(left, erased, from_left), _without(right, erased, from_right))
    for number_id in sorted(erased):
        one, other = from_left[number_id], from_right[number_id]
        if one != other and alike(one, other, erased[number_id]):
            count.erased += len(one)
        else:
            count.take(iter(one), iter(other))


def _without(
    versions: Iterator[Version], numbers: Container[int], removed: Mapping[int, list[Version]]
) -> Iterator[Version]:
    """Versions without those of `numbers`, which are added to `removed` instead."""
    for version in versions:
        number_id = version[0][-2]
        if number_id in numbers:
            removed[number_id].append(version)
        else:
            yield version


def _versions(connection: Connection, table: declared.Table, account_id: int, span: Span) -> Iterator[Version]:
    """Versions within the span, in the order of their keys; a version that ends after the span counts as open."""
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
