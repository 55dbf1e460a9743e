"""Options and warehouse of the commands that read: a moment, the accounts, and an engine with a checked schema."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from etl.domain.instants import parse_instant
from etl.errors import Misconfigured, Usage

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from etl.config.settings import Loaded
    from etl.read.changes import TimeRange
    from etl.read.status import Status

Command = TypeVar("Command", bound=Callable[..., Any])


class InstantParam(click.ParamType[datetime]):
    """Click type for an ISO 8601 instant or date, with a zone or in UTC; a date means its first instant."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant in UTC. Raises a usage error for any other text."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_instant(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is not a date or time: {error}", param, ctx)


def as_of(*, required: bool = False) -> Callable[[Command], Command]:
    """Option `--as-of T`; the command gets it as `as_of`."""
    words = "As known at T: an ISO 8601 instant or date (its first moment), in UTC unless it has a zone."
    return click.option("--as-of", type=InstantParam(), metavar="T", required=required, help=words)


def accounts(command: Command) -> Command:
    """Option `--account ID`, repeatable; the command gets it as `account`."""
    words = "Look at this account only. Repeatable."
    return click.option("--account", type=int, multiple=True, metavar="ID", help=words)(command)


def readable(loaded: Loaded) -> Engine:
    """Engine of a warehouse that exists and has this program's schema. Raises `Misconfigured` otherwise."""
    from etl.store import migrations

    engine = existing(loaded)
    migrations.check(engine)
    return engine


def existing(loaded: Loaded) -> Engine:
    """Engine of the warehouse, whatever its schema. Raises `Misconfigured` when it is a file that does not exist."""
    from etl.cli.connect import is_there, warehouse, warehouse_name

    if not is_there(loaded):
        raise Misconfigured(
            f"there is no warehouse at {warehouse_name(loaded)}", remedy="Run `vnsync sync`, or correct --database-url."
        )
    return warehouse(loaded)


def refuse_later(moment: datetime | None, name: str) -> datetime | None:
    """The moment. Raises `Usage` if it lies in the future; `name`: of the moment, in errors."""
    from etl.clock import SystemClock
    from etl.read.as_of import refuse_future

    refuse_future(moment, SystemClock().now(), name)
    return moment


def is_without_tables(engine: Engine) -> bool:
    """Whether the database has no tables of a warehouse yet. Raises `Misconfigured` if it has no room for them."""
    from etl.store import migrations

    if migrations.current(engine) is not None:
        return False
    migrations.require_room(engine)
    return True


def read_status_of(loaded: Loaded, as_of: datetime | None, name: str) -> Status:
    """The status at the moment, or now (None); empty when the warehouse exists and has no tables yet.

    `name`: of the moment, in errors.
    """
    from etl.clock import SystemClock
    from etl.read.as_of import refuse_future
    from etl.read.status import Status, read_status
    from etl.store import migrations

    now = SystemClock().now()
    refuse_future(as_of, now, name)
    engine = existing(loaded)
    if as_of is None and is_without_tables(engine):
        return Status()
    migrations.check(engine)
    return read_status(engine, now, moment=as_of, name=name)


@contextmanager
def time_range(
    loaded: Loaded, start: datetime | None, end: datetime | None, accounts: Collection[int], *, names: tuple[str, str]
) -> Iterator[tuple[Connection, TimeRange]]:
    """A connection, and the range of observations after `start` and up to `end`, both checked against the warehouse.

    `names`: of `start` and `end`, in errors.
    """
    from etl.clock import SystemClock
    from etl.read.as_of import refuse_future, refuse_unknown
    from etl.read.changes import TimeRange
    from etl.store.engine import begin_reading, database_errors

    for moment, name in zip((start, end), names, strict=True):
        refuse_future(moment, SystemClock().now(), name)
    if start and end and start >= end:
        remedy = f"Changes are those observed after {names[0]}, up to {names[1]}."
        raise Usage(f"{names[0]} is not before {names[1]}", remedy=remedy)
    window = TimeRange(start=start, end=end, accounts=frozenset(accounts))
    engine = readable(loaded)
    with database_errors(), begin_reading(engine) as connection:
        refuse_unknown(connection, end, names[1], window.accounts)
        yield connection, window
