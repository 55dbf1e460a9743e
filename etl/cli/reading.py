"""Options and warehouse of the commands that read: a moment, the accounts, and an engine with a checked schema."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from etl.domain.instants import parse_instant
from etl.errors import Misconfigured

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.config.settings import Loaded

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
