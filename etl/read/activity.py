"""Counts of changes on each observed day of a year, by account and kind of row."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from msgspec import Struct, field
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    case,
    exists,
    false,
    func,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from etl.domain import tables as declared
from etl.domain.runs import AccountStatus
from etl.read.change_kinds import Kind as ChangeKind
from etl.read.changes import Change, TimeRange, read_changes
from etl.read.first_reported import first_reported
from etl.read.moves import Edge, elsewhere
from etl.store import schema
from etl.store.streams import stream

DAYS = 30
"""How many observed days are recent."""
YEAR = 365
"""How many days are read, whether they were observed or not; and always the recent ones."""

Kind = tuple[str, str]
"""An entity (`number`, `campaign of a number`) and its change: added, changed, moved or removed."""
_MOVES = (ChangeKind.NUMBER_MOVED_IN, ChangeKind.NUMBER_MOVED_OUT)


class Day(Struct, frozen=True, kw_only=True):
    """A day in UTC with at least one observation. `counts`: changes that its observations found, over all accounts.

    `known`: count by entity of rows in which only fields that were reported for the first time got a value; these are
    not changes.
    """

    day: date
    accounts: int
    observations: int
    counts: Mapping[Kind, int]
    known: Mapping[str, int] = field(default_factory=dict)


class Activity(Struct, frozen=True, kw_only=True):
    """The last observed days, ascending; `per_account`: changes of any kind by account, in the order of `days`.

    Rows that an account's first observation found are not counted: they were new to the warehouse, not to the account.
    """

    days: tuple[Day, ...] = ()
    per_account: Mapping[int, tuple[int, ...]]

    def recent(self) -> Activity:
        """The last `DAYS` observed days of these."""
        last = {account_id: counts[-DAYS:] for account_id, counts in self.per_account.items()}
        return Activity(days=self.days[-DAYS:], per_account={i: counts for i, counts in last.items() if any(counts)})


class _Scope(Struct, frozen=True, kw_only=True):
    """Observations from `since` to `until`, of one account or of all (None).

    `several`: the warehouse has more than one account, so that numbers can move from one to another.
    """

    since: datetime
    until: datetime
    account_id: int | None
    several: bool

    @property
    def accounts(self) -> tuple[int, ...]:
        return () if self.account_id is None else (self.account_id,)


class utc_day(FunctionElement[str]):  # noqa: N801 - a function of SQL
    """SQL function: the day of an instant in UTC, as text `YYYY-MM-DD`."""

    inherit_cache = True
    type = Text()


@compiles(utc_day, "sqlite")
def _sqlite_day(element: utc_day, compiler: Any, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 10)"


@compiles(utc_day, "postgresql")
def _postgresql_day(element: utc_day, compiler: Any, **options: Any) -> str:
    return f"to_char({compiler.process(element.clauses, **options)} at time zone 'UTC', 'YYYY-MM-DD')"


def read_activity(connection: Connection, now: datetime, account_id: int | None = None) -> Activity:
    """The observed days of the year up to `now`, of one account or of all (None); at least the last `DAYS` of them."""
    observed = _observed_days(connection, now, account_id)
    if not observed:
        return Activity(per_account={})
    several = (connection.scalar(select(func.count()).select_from(schema.accounts)) or 0) > 1
    since = datetime.combine(date.fromisoformat(observed[0][0]), time(), UTC)
    scope = _Scope(since=since, until=now, account_id=account_id, several=several)
    counts = _Counts()
    for table in declared.TABLES:
        for statement in (_opened(table, scope), _ended(table, scope)):
            for row in stream(connection, statement):
                counts.add(row.account_id, row.day, (table.entity, row.change), row.rows)
    for reporting, observed_at in first_reported(connection, scope.accounts):
        if since <= observed_at <= now:
            counts.add_each(read_changes(connection, TimeRange.of_one(reporting, observed_at, now), names=False))
    return counts.activity(observed)


def first_day(now: datetime) -> date:
    """First day of the year that ends with the day of `now`."""
    return now.astimezone(UTC).date() - timedelta(days=YEAR - 1)


def unpublished_days(connection: Connection, now: datetime, account_id: int | None = None) -> tuple[date, ...]:
    """The days of the year on which a sync was tried and nothing published, ascending: of one account or of all."""
    tried = schema.sync_runs if account_id is None else schema.account_syncs
    since = datetime.combine(first_day(now), time(), UTC)
    known = tried.c.started_at.between(since, now)
    mine = known if account_id is None else and_(known, tried.c.account_id == account_id)
    days = set(connection.scalars(select(utc_day(tried.c.started_at)).where(mine).distinct()))
    observed = {day for day, _, _ in _observed_days(connection, now, account_id)}
    return tuple(map(date.fromisoformat, sorted(days - observed)))


class _Counts:
    """Counts of changes by day and account, and of rows with newly known fields."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[Kind]] = defaultdict(Counter)
        self._known: dict[str, Counter[str]] = defaultdict(Counter)
        self._per_account: dict[int, Counter[str]] = defaultdict(Counter)

    def add(self, account_id: int, day: str, kind: Kind, rows: int = 1) -> None:
        """Add rows of an account that changed on a day."""
        self._counts[day][kind] += rows
        self._per_account[account_id][day] += rows

    def add_each(self, changes: Iterable[Change]) -> None:
        """Add an observation's changes one by one: SQL cannot tell changed fields from newly known ones."""
        for change in changes:
            day, event = str(change.observed_at.astimezone(UTC).date()), change.change_event
            entities = [declared.BY_NAME[pair.table].entity for pair in event.pairs]
            if event.kind is ChangeKind.KNOWN:
                self._known[day].update(entities[:1])
                continue
            for entity, pair in zip(entities, event.pairs, strict=True):
                own = event.kind in _MOVES and pair.table == declared.VIRTUAL_NUMBERS.name
                self.add(change.account_id, day, (entity, "moved" if own else pair.change))

    def activity(self, observed: Sequence[tuple[str, int, int]]) -> Activity:
        """The counts as `Activity`, for these days."""
        return Activity(
            days=tuple(
                Day(
                    day=date.fromisoformat(day),
                    accounts=accounts,
                    observations=syncs,
                    counts=self._counts[day],
                    known=self._known[day],
                )
                for day, accounts, syncs in observed
            ),
            per_account={i: tuple(days[day] for day, _, _ in observed) for i, days in self._per_account.items()},
        )


def _observed_days(connection: Connection, now: datetime, account_id: int | None) -> list[tuple[str, int, int]]:
    """(day, accounts, observations) of the days of the year, or of the last `DAYS` if they reach back further."""
    syncs = schema.account_syncs
    published = and_(syncs.c.status == AccountStatus.SUCCEEDED.value, syncs.c.observed_at <= now)
    mine = published if account_id is None else and_(published, syncs.c.account_id == account_id)
    each = select(utc_day(syncs.c.observed_at).label("day"), syncs.c.account_id).where(mine).subquery()
    counted = select(each.c.day, func.count(each.c.account_id.distinct()), func.count()).group_by(each.c.day)
    rows = connection.execute(counted.order_by(each.c.day.desc()).limit(YEAR)).all()
    since = str(first_day(now))
    found = [(day, accounts, syncs) for i, (day, accounts, syncs) in enumerate(rows) if i < DAYS or day >= since]
    return found[::-1]


# -- changes, counted


def _opened(table: declared.Table, scope: _Scope) -> Select[Any]:
    """Counts of versions that began: `changed` if they follow one that ended then, else `moved` or `added`."""
    before = schema.closed[table.name].alias("before")
    started = union_all(*_versions(table, "valid_from", scope)).subquery("version")
    follows = exists().where(*_same_key(table, before, started), before.c.valid_to == started.c.instant)
    moved = _moved(table, started, scope, opened=True)
    return _counted(started, case((follows, "changed"), (moved, "moved"), else_="added"))


def _ended(table: declared.Table, scope: _Scope) -> Select[Any]:
    """Counts of versions that ended and have no successor: `moved` if another account has the number, else removed."""
    closed = schema.closed[table.name]
    ended = next(iter(_versions(table, "valid_to", scope))).subquery("version")
    followers = (t.alias(f"after_{t.name}") for t in (schema.current[table.name], closed))
    follows = or_(*(exists().where(*_same_key(table, t, ended), t.c.valid_from == ended.c.instant) for t in followers))
    moved = _moved(table, ended, scope, opened=False)
    return _counted(ended, case((moved, "moved"), else_="removed"), ~follows)


def _moved(table: declared.Table, versions: Any, scope: _Scope, *, opened: bool) -> ColumnElement[bool]:
    """Whether a version belongs to a number that came from another account, or went to one."""
    if not scope.several or table is not declared.VIRTUAL_NUMBERS:
        return false()
    columns = versions.c
    edge = Edge(
        account_id=columns.account_id,
        virtual_number_id=columns.virtual_number_id,
        at=columns.instant,
        run_id=columns.run_id,
        opened=opened,
    )
    return elsewhere(edge, scope.until).is_not(None)


def _versions(table: declared.Table, edge: str, scope: _Scope) -> Iterator[Select[Any]]:
    """Keys of versions whose `edge` is in the scope, but not at their account's first observation.

    Versions of an observation that reported fields for the first time are left out: `add_each` counts them.
    """
    syncs, reported = schema.account_syncs.c, schema.first_reported
    first = (
        select(syncs.account_id, func.min(syncs.observed_at).label("instant"))
        .where(syncs.status == AccountStatus.SUCCEEDED.value)
        .group_by(syncs.account_id)
        .subquery("first")
    )
    for each in (schema.closed[table.name], schema.current[table.name]):
        if edge in each.c:
            instant = each.c[edge]
            key = (each.c[name] for name in ("account_id", *table.key_names))
            run = each.c.opened_run_id if edge == "valid_from" else each.c.closed_run_id
            new_fields = exists().where(reported.c.account_id == each.c.account_id, reported.c.run_id == run)
            within = and_(instant.between(scope.since, scope.until), instant > first.c.instant, ~new_fields)
            mine = [] if scope.account_id is None else [each.c.account_id == scope.account_id]
            yield (
                select(*key, instant.label("instant"), run.label("run_id"))
                .join(first, first.c.account_id == each.c.account_id)
                .where(within, *mine)
            )


def _same_key(table: declared.Table, one: Table | Any, other: Any) -> list[ColumnElement[bool]]:
    return [one.c[name] == other.c[name] for name in ("account_id", *table.key_names)]


def _counted(versions: Any, change: ColumnElement[Any], *only: ColumnElement[bool]) -> Select[Any]:
    day = utc_day(versions.c.instant).label("day")
    each = select(versions.c.account_id, day, change.label("change")).where(*only).subquery()
    return select(each, func.count().label("rows")).group_by(each.c.account_id, each.c.day, each.c.change)
