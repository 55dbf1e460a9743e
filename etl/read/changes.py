"""What changed between two moments, streamed: version pairs in order, and the happenings that tell them.

Memory holds a number's pairs and a batch of rows of each table, however many changes there are.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

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
from etl.domain.runs import AccountStatus
from etl.read import as_of
from etl.read.change_events import of_number, of_shared
from etl.read.change_kinds import ChangeEvent, Kind, Pair, Thing
from etl.read.erased import is_erased
from etl.read.first_reported import first_reported
from etl.read.moves import Edge, elsewhere
from etl.read.timeline import previous
from etl.store import schema
from etl.store.streams import stream
from etl.store.types import ID

NAMED = {t.key_names[0]: t for t in (declared.VIRTUAL_NUMBERS, *declared.shared_tables())}
"""By the column that refers to it: a table whose rows have names, the first of its values but for a number's phone."""
PHONE = "virtual_phone_number"


@dataclass(frozen=True, kw_only=True)
class TimeRange:
    """What was observed after `start` (None: ever) and not later than `end` (None: now), in `accounts` (none: all).

    `known_by`: what other accounts' later observations found is not used; None: what was observed later than `end`.
    """

    start: datetime | None = None
    end: datetime | None = None
    accounts: Collection[int] = ()
    known_by: datetime | None = None

    @classmethod
    def of_one(cls, account_id: int, observed_at: datetime, known_by: datetime) -> TimeRange:
        """One observation of an account."""
        start = observed_at - timedelta(microseconds=1)
        return cls(start=start, end=observed_at, accounts={account_id}, known_by=known_by)

    @property
    def horizon(self) -> datetime | None:
        """The moment up to which other accounts are known; None: now."""
        return self.known_by or self.end


@dataclass(frozen=True, kw_only=True)
class Change:
    """A happening with its account, and the observations between which it happened.

    After `previous_observed_at` (None: nobody had looked before), and not later than `observed_at`.
    """

    account_id: int
    observed_at: datetime
    previous_observed_at: datetime | None
    run_id: int
    change_event: ChangeEvent


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A pair and the observation that found it."""

    account_id: int
    observed_at: datetime
    run_id: int
    pair: Pair

    @property
    def when(self) -> tuple[int, datetime]:
        return self.account_id, self.observed_at


def read_changes(connection: Connection, window: TimeRange, *, names: bool = True) -> Iterator[Change]:
    """All changes of the window, by account, observation, numbers first, then what numbers share.

    `names`: look up what the things of links are called; counting needs no names.
    """
    observations = _Observations(connection, window)
    numbers = heapq.merge(
        *(_pairs(connection, t, window, observations, names) for t in declared.TABLES if t.per_number),
        key=lambda seen: (*seen.when, seen.pair.key[0]),
    )
    shared = heapq.merge(
        *(_pairs(connection, t, window, observations, names) for t in declared.TABLES if not t.per_number),
        key=lambda seen: seen.when,
    )
    told = heapq.merge(_of_numbers(numbers), _of_shared(shared), key=lambda change: change[0])
    for (account_id, observed_at), run_id, change_event in told:
        yield Change(
            account_id=account_id,
            observed_at=observed_at,
            previous_observed_at=observations.before(account_id, observed_at),
            run_id=run_id,
            change_event=change_event,
        )


def count_changes(connection: Connection, window: TimeRange) -> dict[int, Counter[tuple[Kind, str]]]:
    """How often each kind of thing happened to which entity, by account."""
    counts: dict[int, Counter[tuple[Kind, str]]] = {}
    for change in read_changes(connection, window, names=False):
        told = change.change_event
        entity = "number" if told.number else told.thing.entity if told.thing else ""
        counts.setdefault(change.account_id, Counter())[told.kind, entity] += 1
    return counts


_Told = tuple[tuple[int, datetime], int, ChangeEvent]


def _of_numbers(pairs: Iterable[_Seen]) -> Iterator[_Told]:
    for (account_id, observed_at, _), several in groupby(pairs, key=lambda s: (*s.when, s.pair.key[0])):
        seen = list(several)
        for change_event in of_number(s.pair for s in seen):
            yield (account_id, observed_at), seen[0].run_id, change_event


def _of_shared(pairs: Iterable[_Seen]) -> Iterator[_Told]:
    for seen in pairs:
        for change_event in of_shared(seen.pair):
            yield seen.when, seen.run_id, change_event


class _Observations:
    """The accounts as they were observed, one of them observation by observation."""

    def __init__(self, connection: Connection, window: TimeRange) -> None:
        self._connection = connection
        self._names = {seen.account_id: seen.account_name for seen in as_of.observed(connection, window.horizon)}
        self._reported = first_reported(connection, window.accounts)
        self._account_id: int | None = None
        self._instants: list[datetime] = []

    def before(self, account_id: int, moment: datetime) -> datetime | None:
        """The account's last observation before the moment."""
        if account_id != self._account_id:
            syncs = schema.account_syncs
            mine = and_(syncs.c.account_id == account_id, syncs.c.status == AccountStatus.SUCCEEDED.value)
            instants = select(syncs.c.observed_at).where(mine).order_by(syncs.c.observed_at)
            self._account_id, self._instants = account_id, list(self._connection.scalars(instants))
        return previous(moment, self._instants)

    @property
    def several(self) -> bool:
        """Whether there is more than one account, so that numbers can move from one to another."""
        return len(self._names) > 1

    def account(self, account_id: int | None) -> Thing | None:
        """An account under its name."""
        return None if account_id is None else Thing(entity="account", id=account_id, name=self._names.get(account_id))

    def reported(self, account_id: int, moment: datetime) -> frozenset[str]:
        """Paths of the fields that the account's observation at this moment reported for the first time."""
        return self._reported.get((account_id, moment), frozenset())


# -- pairs of one table


def _pairs(
    connection: Connection, table: declared.Table, window: TimeRange, observations: _Observations, names: bool
) -> Iterator[_Seen]:
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
        yield _Seen(account_id=account_id, observed_at=at, run_id=events[0].run_id, pair=pair)


def _values(table: declared.Table, row: Row[Any] | None) -> dict[str, Any] | None:
    """The row by column, its key too, so that a link without values is something."""
    return None if row is None else {c.name: as_of.as_value(c, row._mapping[c.name]) for c in table.columns}


def _names(table: declared.Table, row: Row[Any]) -> dict[str, str | None]:
    named = {column: row._mapping[f"name_of_{column}"] for column in _named_columns(table)}
    return {PHONE if column == "virtual_number_id" else column: name for column, name in named.items()}


def _named_columns(table: declared.Table) -> tuple[str, ...]:
    return tuple(c for c in table.key_names if c in NAMED) if len(table.key) > 1 else ()


def version_events(table: declared.Table, window: TimeRange, *, names: bool, moves: bool) -> CompoundSelect[Any]:
    """Every version of `table` that the window ended or opened, by account, instant and key, what ended first.

    account_id, at, key, values, opened, run_id, earlier, erased, elsewhere; `names`: and `name_of_<column>` for each id
    of links. `moves`: look up the other account of a number that moved.
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
    ).where(*_inside(at, window), *([source.c.account_id.in_(window.accounts)] if window.accounts else []))


def _inside(at: ColumnElement[datetime], window: TimeRange) -> Iterator[ColumnElement[bool]]:
    if window.start is not None:
        yield at > window.start
    if window.end is not None:
        yield at <= window.end


def _earlier(table: declared.Table, source: Table, opened: bool) -> ColumnElement[Any]:
    """Whether the thing had a version that ended before this one began. Links are told by what they link."""
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
    """What `column` refers to was called: when the link was opened, or just before it ended."""
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
