"""How much changed on each of the last days that were observed: counts, by account and kind of row."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from etl.domain import tables as declared
from etl.domain.runs import AccountStatus
from etl.store import schema
from etl.store.streams import stream

DAYS = 30
"""How many observed days are told."""

Kind = tuple[str, str]
"""An entity (`number`, `campaign of a number`) and what became of it: added, changed or removed."""


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day in UTC on which something was observed. `counts`: what its observations found, over all accounts."""

    day: date
    accounts: int
    observations: int
    counts: Mapping[Kind, int]


@dataclass(frozen=True, kw_only=True)
class Activity:
    """The last observed days, ascending; `per_account`: changes of any kind by account, in the order of `days`.

    What an account's very first observation found is not counted: it was new to the warehouse, not to the account.
    """

    days: tuple[Day, ...] = ()
    per_account: Mapping[int, tuple[int, ...]]


class utc_day(FunctionElement[str]):  # noqa: N801 - a function of SQL
    """The day of an instant in UTC, as text `YYYY-MM-DD`."""

    inherit_cache = True
    type = Text()


@compiles(utc_day, "sqlite")
def _sqlite_day(element: utc_day, compiler: Any, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 10)"


@compiles(utc_day, "postgresql")
def _postgresql_day(element: utc_day, compiler: Any, **options: Any) -> str:
    return f"to_char({compiler.process(element.clauses, **options)} at time zone 'UTC', 'YYYY-MM-DD')"


def read_activity(connection: Connection, now: datetime) -> Activity:
    """The last observed days as of `now`."""
    observed = _observed_days(connection, now)
    if not observed:
        return Activity(per_account={})
    since = datetime.combine(date.fromisoformat(observed[0][0]), time(), UTC)
    counts: dict[str, Counter[Kind]] = defaultdict(Counter)
    per_account: dict[int, Counter[str]] = defaultdict(Counter)
    for table in declared.TABLES:
        for statement in (_opened(table, since, now), _ended(table, since, now)):
            for row in stream(connection, statement):
                counts[row.day][table.entity, row.change] += row.rows
                per_account[row.account_id][row.day] += row.rows
    names = [name for name, _, _ in observed]
    return Activity(
        days=tuple(
            Day(day=date.fromisoformat(name), accounts=accounts, observations=syncs, counts=counts[name])
            for name, accounts, syncs in observed
        ),
        per_account={i: tuple(found[name] for name in names) for i, found in per_account.items()},
    )


def _observed_days(connection: Connection, now: datetime) -> list[tuple[str, int, int]]:
    """(day, accounts, observations) of the last days, ascending."""
    syncs = schema.account_syncs
    published = and_(syncs.c.status == AccountStatus.SUCCEEDED.value, syncs.c.observed_at <= now)
    each = select(utc_day(syncs.c.observed_at).label("day"), syncs.c.account_id).where(published).subquery()
    counted = select(each.c.day, func.count(each.c.account_id.distinct()), func.count()).group_by(each.c.day)
    rows = connection.execute(counted.order_by(each.c.day.desc()).limit(DAYS)).all()
    return [(day, accounts, observations) for day, accounts, observations in reversed(rows)]


# -- changes, counted


def _opened(table: declared.Table, since: datetime, now: datetime) -> Select[Any]:
    """Versions that began: changed where they follow one that ended then, else added."""
    before = schema.closed[table.name].alias("before")
    started = union_all(*_versions(table, "valid_from", since, now)).subquery("version")
    follows = exists().where(*_same_key(table, before, started), before.c.valid_to == started.c.instant)
    return _counted(started, case((follows, "changed"), else_="added"))


def _ended(table: declared.Table, since: datetime, now: datetime) -> Select[Any]:
    """Versions that ended and were followed by none."""
    closed = schema.closed[table.name]
    ended = next(iter(_versions(table, "valid_to", since, now))).subquery("version")
    followers = (t.alias(f"after_{t.name}") for t in (schema.current[table.name], closed))
    follows = or_(*(exists().where(*_same_key(table, t, ended), t.c.valid_from == ended.c.instant) for t in followers))
    return _counted(ended, literal("removed"), ~follows)


def _versions(table: declared.Table, edge: str, since: datetime, now: datetime) -> Iterator[Select[Any]]:
    """The keys of versions whose `edge` lies in the time told, but not on their account's first observation."""
    syncs = schema.account_syncs.c
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
            within = and_(instant >= since, instant <= now, instant > first.c.instant)
            yield (
                select(*key, instant.label("instant"))
                .join(first, first.c.account_id == each.c.account_id)
                .where(within)
            )


def _same_key(table: declared.Table, one: Table | Any, other: Any) -> list[ColumnElement[bool]]:
    return [one.c[name] == other.c[name] for name in ("account_id", *table.key_names)]


def _counted(versions: Any, change: ColumnElement[Any], *only: ColumnElement[bool]) -> Select[Any]:
    day = utc_day(versions.c.instant).label("day")
    each = select(versions.c.account_id, day, change.label("change")).where(*only).subquery()
    return select(each, func.count().label("rows")).group_by(each.c.account_id, each.c.day, each.c.change)
