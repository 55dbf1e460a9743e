"""`vnsync sandbox`: a simulated Data API on a loopback port, for experiments."""

from __future__ import annotations

import secrets
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from etl.cli import options
from etl.cli.choice import Duration
from etl.errors import LocalTrouble, Stopped, Usage

if TYPE_CHECKING:
    from etl.config.settings import Loaded
    from etl.sandbox.api import Api
    from etl.sandbox.records import Edition
    from etl.sandbox.server import Server
    from etl.sandbox.world import Role, World

EPILOG = """\
On a terminal it prints the lines to export; elsewhere, and with --output json, it prints one JSON
line with url, token, role and user_ids. It stops with Ctrl-C.

\b
Examples:
  vnsync sandbox --day-every 30s                  a day passes every 30 seconds
  vnsync sandbox --port 8080 --numbers 500 > sandbox.json &
  export VNSYNC_API_URL=http://127.0.0.1:8080/v2.0
  export VNSYNC_API_TOKEN=$(jq -r .token sandbox.json)
  vnsync sync
"""

SHARE_CHANGED = 0.02
"""Approximate share of the numbers that changes in a day."""


@click.command(epilog=EPILOG, short_help="A simulated Data API on this machine, for experiments.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="PORT", default=0, help="Default: a free one.")
@click.option(
    "--numbers", type=click.IntRange(0), metavar="N", default=100, help="Numbers of each customer. Default: 100."
)
@click.option("--customers", type=click.IntRange(1), metavar="N", help="Customers of the agent. Default: 3.")
@click.option("--role", type=click.Choice(["agent", "customer"]), default="agent", show_default=True)
@click.option("--edition", type=click.Choice(["newer", "older"]), default="newer", show_default=True)
@click.option("--seed", type=int, metavar="N", default=1, show_default=True, help="The same seed makes the same world.")
@click.option("--minute-limit", type=click.IntRange(1), metavar="N", help="API points a minute. Default: no limit.")
@click.option("--day-limit", type=click.IntRange(1), metavar="N", help="API points a day. Default: no limit.")
@click.option(
    "--day-every", type=Duration(), metavar="AGE", help="How long a day takes: 30s, 5m. Default: no day passes."
)
@options.output
@options.settings(*options.LOG)
def sandbox(
    loaded: Loaded,
    port: int,
    numbers: int,
    customers: int | None,
    role: Role,
    edition: Edition,
    seed: int,
    minute_limit: int | None,
    day_limit: int | None,
    day_every: timedelta | None,
    output: str,
) -> int:
    """Serve a made-up agency through a copy of the vendor's API on this machine, until stopped."""
    from etl.sandbox.api import Api
    from etl.sandbox.server import serve

    if role == "customer" and customers not in (None, 1):
        raise Usage("a customer's token reaches one customer", remedy="Leave --customers out, or use --role agent.")
    world = _world(numbers, customers or (3 if role == "agent" else 1), role, edition, seed)
    key = secrets.token_hex(16)
    api = Api(world, token=key, minute_limit=minute_limit, day_limit=day_limit)
    users = [u for c in world.customer_ids for u in world.user_ids(c)] if role == "agent" else []
    try:
        with serve(api, port=port) as server:
            at_terminal = _write({"url": server.url, "token": key, "role": role, "user_ids": users}, output)
            _answer(server, api, day_every, at_terminal)
    except Stopped as stopped:
        return stopped.exit_code
    except OSError as error:
        raise LocalTrouble(
            f"port {port} of 127.0.0.1 cannot be used: {error.strerror}", remedy="Choose another --port."
        ) from error
    return 0


def _world(numbers: int, customers: int, role: Role, edition: Edition, seed: int) -> World:
    from etl.sandbox.world import CustomerPlan, World

    plans = [CustomerPlan(numbers=numbers) for _ in range(customers)]
    return World(seed=seed, customers=plans, role=role, edition=edition)


def _write(endpoint: dict[str, Any], output: str) -> bool:
    """Print the endpoint: on a terminal as lines to copy, else as one JSON line. Returns whether it is a terminal."""
    from etl.cli.output import write_json_now, write_line, write_text
    from etl.report.terminal.tables import is_terminal

    if output == "json" or not is_terminal(sys.stdout):
        write_json_now(endpoint)
        return False
    write_line("A made-up agency is served on this machine until Ctrl-C. In another terminal:\n")
    write_text(f"  export VNSYNC_API_URL={endpoint['url']}\n  export VNSYNC_API_TOKEN={endpoint['token']}\n")
    write_text("  vnsync sync\n\n")
    sys.stdout.flush()
    return True


def _answer(server: Server, api: Api, day_every: timedelta | None, at_terminal: bool) -> None:
    """Answer requests until stopped; `day_every`: how long a day takes, None if no day passes."""
    from etl.cli.output import write_line
    from etl.report.wording import counted

    if day_every is None:
        server.forever()
        return
    while server.wait(day_every.total_seconds()):
        with api.lock:
            changed = api.world.pass_day(SHARE_CHANGED)
            today = api.world.today
        if at_terminal:
            write_line(
                f"{today:%Y-%m-%d}: {counted(changed.total, 'change')}, {counted(changed.added, 'number')} added."
            )
            sys.stdout.flush()
