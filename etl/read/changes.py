"""Changes between two moments as a stream: version pairs in order, and the change events made from them.

Memory use does not depend on the count of changes: one number's pairs, and a batch of rows of each table.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.sql.selectable import CompoundSelect

from etl.domain import tables as declared
from etl.read import as_of
from etl.read.change_events import of_number, of_shared
from etl.read.change_kinds import ChangeEvent, Kind, Pair
from etl.read.erased import is_erased
from etl.read.moves import Edge, elsewhere
from etl.read.observations import Observations
from etl.store import schema
from etl.store.streams import stream
from etl.store.types import ID

NAMED = {t.key_names[0]: t for t in (declared.VIRTUAL_NUMBERS, *declared.shared_tables())}
"""Tables with named rows, by the column that refers to them; the name is the first value, of a number its phone."""
PHONE = "virtual_phone_number"


class TimeRange(Struct, frozen=True, kw_only=True):
    """Observations after `start` (None: all) and not later than `end` (None: now), of `accounts` (empty: all).

    `known_by`: later observations of other accounts are not used; None stands for `end`. `numbers`: only changes of
    these numbers, and none of shared rows; empty: all changes.
    """

    start: datetime | None = None
    end: datetime | None = None
    accounts: Collection[int] = ()
    known_by: datetime | None = None
    numbers: Collection[int] = ()

    @classmethod
    def of_one(cls, account_id: int, observed_at: datetime, known_by: datetime) -> TimeRange:
        """The range of one observation of an account."""
        start = observed_at - timedelta(microseconds=1)
        return cls(start=start, end=observed_at, accounts={account_id}, known_by=known_by)

    @property
    def horizon(self) -> datetime | None:
        """The moment up to which observations of other accounts are used; None: now."""
        return self.known_by or self.end


class Change(Struct, frozen=True, kw_only=True):
    """A change event with its account, and the observations between which it happened.

    It happened after `previous_observed_at` (None: there was no earlier observation), and not after `observed_at`.
    """

    account_id: int
    observed_at: datetime
    previous_observed_at: datetime | None
    run_id: int
    change_event: ChangeEvent


class _ObservedPair(Struct, frozen=True, kw_only=True):
    """A pair and the observation that found it."""

    account_id: int
    observed_at: datetime
    run_id: int
    pair: Pair

    @property
    def when(self) -> tuple[int, datetime]:
        return self.account_id, self.observed_at


def read_changes(connection: Connection, window: TimeRange, *, names: bool = True) -> Iterator[Change]:
    """All changes of the time range, by account and observation; those of numbers come before those of shared rows.

    `names`: whether to look up the names of the rows that links refer to; counting does not need them.
    """
    observations = Observations(connection, window.horizon, window.accounts)
    numbers = heapq.merge(
        *(_pairs(connection, t, window, observations, names) for t in declared.TABLES if t.per_number),
        key=lambda found: (*found.when, found.pair.key[0]),
    )
    shared = heapq.merge(
        *(_pairs(connection, t, window, observations, names) for t in _shared(window)),
        key=lambda found: found.when,
    )
    events = heapq.merge(_of_numbers(numbers), _of_shared(shared), key=lambda event: event[0])
    for (account_id, observed_at), run_id, change_event in events:
        yield Change(
            account_id=account_id,
            observed_at=observed_at,
            previous_observed_at=observations.before(account_id, observed_at),
            run_id=run_id,
            change_event=change_event,
        )


def count_changes(connection: Connection, window: TimeRange) -> dict[int, Counter[tuple[Kind, str]]]:
    """Count of changes by account, then by (kind, entity)."""
    counts: dict[int, Counter[tuple[Kind, str]]] = {}
    for change in read_changes(connection, window, names=False):
        event = change.change_event
        entity = "number" if event.number else event.thing.entity if event.thing else ""
        counts.setdefault(change.account_id, Counter())[event.kind, entity] += 1
    return counts


_Dated = tuple[tuple[int, datetime], int, ChangeEvent]
"""((account_id, observed_at), run_id, change event)."""


def _of_numbers(pairs: Iterable[_ObservedPair]) -> Iterator[_Dated]:
    for (account_id, observed_at, _), group in groupby(pairs, key=lambda p: (*p.when, p.pair.key[0])):
        found = list(group)
        for change_event in of_number(p.pair for p in found):
            yield (account_id, observed_at), found[0].run_id, change_event


def _of_shared(pairs: Iterable[_ObservedPair]) -> Iterator[_Dated]:
    for found in pairs:
        for change_event in of_shared(found.pair):
            yield found.when, found.run_id, change_event


# -- pairs of one table


def _shared(window: TimeRange) -> list[declared.Table]:
    return [] if window.numbers else [t for t in declared.TABLES if not t.per_number]


def _pairs(
    connection: Connection, table: declared.Table, window: TimeRange, observations: Observations, names: bool
) -> Iterator[_ObservedPair]:
    """The table's pairs by account, observation and key."""
    width = len(table.key)
    rows = stream(connection, version_events(table, window, names=names, moves=observations.several))
    for (account_id, at, *key), several in groupby(rows, key=lambda row: tuple(row[: 2 + width])):
        events = list(several)
        ended = next((row for row in events if not row.opened), None)
        opened = next((row for row in events if row.opened), None)
        first = ended is None and observations.before(account_id, at) is None
        pair = Pair(
            table=table.name,
            key=tuple(key),
            before=_values(table, ended),
            after=_values(table, opened),
            names=_names(table, opened or events[0]) if names else {},
            came_back=bool(opened is not None and opened.earlier),
            first=first,
            erased=any(row.erased for row in events),
            elsewhere=None if ended and opened else observations.account(events[0].elsewhere),
            reported=observations.reported(account_id, at),
        )
        yield _ObservedPair(account_id=account_id, observed_at=at, run_id=events[0].run_id, pair=pair)


def _values(table: declared.Table, row: Row[Any] | None) -> dict[str, Any] | None:
    """The row's values by column; with its key, so that a link without value columns is not empty."""
    return None if row is None else as_of.values_of(table, row._mapping)


def _names(table: declared.Table, row: Row[Any]) -> dict[str, str | None]:
    named = {column: row._mapping[f"name_of_{column}"] for column in _named_columns(table)}
    return {PHONE if column == "virtual_number_id" else column: name for column, name in named.items()}


def _named_columns(table: declared.Table) -> tuple[str, ...]:
    return tuple(c for c in table.key_names if c in NAMED) if len(table.key) > 1 else ()


def version_events(table: declared.Table, window: TimeRange, *, names: bool, moves: bool) -> CompoundSelect[Any]:
    """Query of the versions of `table` that ended or began in the time range, by account, instant and key, ends first.

    Columns: account_id, at, key, values, opened, run_id, earlier, erased, elsewhere; with `names` also
    `name_of_<column>` for each id of a link. `moves`: whether to look up the other account of a number that moved.
    """
    now, ended = schema.current[table.name], schema.closed[table.name]
    events = union_all(
        *(
            _event(table, source, window, opened=opened, names=names, moves=moves)
            for source, opened in ((ended, False), (ended, True), (now, True))
        )
    )
    columns = events.selected_columns
    return events.order_by(columns.account_id, columns["at"], *(columns[k] for k in table.key_names), columns.opened)


def _event(
    table: declared.Table, source: Table, window: TimeRange, *, opened: bool, names: bool, moves: bool
) -> Select[Any]:
    at = source.c.valid_from if opened else source.c.valid_to
    key, values = ([source.c[c.name] for c in columns] for columns in (table.key, table.values))
    run = source.c.opened_run_id if opened else source.c.closed_run_id
    named = [_name_at(c, source, at, opened).label(f"name_of_{c}") for c in _named_columns(table)] if names else []
    return select(
        source.c.account_id,
        at.label("at"),
        *key,
        *values,
        literal(1 if opened else 0).label("opened"),
        run.label("run_id"),
        _earlier(table, source, opened).label("earlier"),
        is_erased(table, source).label("erased"),
        _elsewhere(table, source, window, opened, moves).label("elsewhere"),
        *named,
    ).where(*_inside(source, at, window))


def _inside(source: Table, at: ColumnElement[datetime], window: TimeRange) -> Iterator[ColumnElement[bool]]:
    if window.start is not None:
        yield at > window.start
    if window.end is not None:
        yield at <= window.end
    if window.accounts:
        yield source.c.account_id.in_(window.accounts)
    if window.numbers:
        yield source.c.virtual_number_id.in_(window.numbers)


def _earlier(table: declared.Table, source: Table, opened: bool) -> ColumnElement[Any]:
    """Whether the row had a version that ended before this one began; False for links, which do not need it."""
    if not opened or len(table.key) > 1:
        return false()
    other = schema.closed[table.name].alias("earlier")
    same = [other.c[c] == source.c[c] for c in ("account_id", *table.key_names)]
    return exists().where(*same, other.c.valid_to < source.c.valid_from)


def _elsewhere(
    table: declared.Table, source: Table, window: TimeRange, opened: bool, moves: bool
) -> ColumnElement[Any]:
    """The other account of a number that moved."""
    if not moves or table is not declared.VIRTUAL_NUMBERS:
        return cast(null(), ID)
    return elsewhere(Edge.of(source, opened=opened), window.horizon)


def _name_at(column: str, source: Table, at: ColumnElement[datetime], opened: bool) -> ColumnElement[Any]:
    """Name of the row that `column` refers to: when the link was opened, or just before it ended."""
    table = NAMED[column]
    name = PHONE if table is declared.VIRTUAL_NUMBERS else table.value_names[0]
    found = []
    for versions in (schema.current[table.name].alias("now"), schema.closed[table.name].alias("then")):
        same = and_(versions.c.account_id == source.c.account_id, versions.c[column] == source.c[column])
        begun = versions.c.valid_from <= at if opened else versions.c.valid_from < at
        open_still = (
            [] if "valid_to" not in versions.c else [versions.c.valid_to > at if opened else versions.c.valid_to >= at]
        )
        found.append(select(versions.c[name]).where(same, begun, *open_still).scalar_subquery())
    return func.coalesce(*found)
