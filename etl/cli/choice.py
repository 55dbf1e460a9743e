"""Options of `sync` and `plan` that choose among the accounts of the token, and their types."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from etl.domain.shards import Shard

Command = Callable[..., Any]
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Duration(click.ParamType[timedelta]):
    """Click type for a length of time such as 90m, 26h or 3d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration. Raises a usage error for any other text, and for 0."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([0-9]{1,6})([smhdw])", str(value).strip().lower(), re.ASCII)
        if not found or int(found[1]) == 0:
            self.fail(f"{value!r} is not a duration: write 90m, 26h or 3d", param, ctx)
        return timedelta(**{UNITS[found[2]]: int(found[1])})


class ShardParam(click.ParamType["Shard"]):
    """Click type for a shard such as 2/4."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """The shard. Raises a usage error for any other text."""
        from etl.domain.shards import MOST, Shard, shard

        if isinstance(value, Shard):
            return value
        try:
            return shard(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a shard: write K/N, such as 2/4, with N up to {MOST}", param, ctx)


def accounts(command: Command) -> Command:
    """The options `--account`, `--shard` and `--older-than`."""
    for option in (
        click.option(
            "--older-than",
            type=Duration(),
            metavar="AGE",
            help="Leave out accounts whose last observation is not older: 90m, 20h, 3d.",
        ),
        click.option("--shard", type=ShardParam(), metavar="K/N", help="Only part K of N of the accounts."),
        click.option("--account", type=int, multiple=True, metavar="ID", help="Only this account. Repeatable."),
    ):
        command = option(command)
    return command
