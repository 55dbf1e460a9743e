"""`vnsync demo`: a made-up agency, synced day after day into a SQLite file; it needs no account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from etl.cli import options
from etl.cli.state import current_state

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.config.settings import Loaded
    from etl.demo.file import DaysAgo
    from etl.domain.runs import RunResult
    from etl.report.agency import DemoDay
    from etl.sandbox.world import World

EPILOG = """\
It uses no network, and of your settings only those of the log. It never touches your warehouse.

\b
Examples:
  vnsync demo
  vnsync demo --days 7 --database-url sqlite:////tmp/demo.db
"""

SEED = 7
SHARE_CHANGED = 0.02
"""Approximate share of the agency's numbers that changes in a day."""
SOURCE = "http://127.0.0.1/v2.0"
"""URL in place of the vendor's; nothing is sent there."""
TOKEN = "sandbox-key"  # noqa: S105 - opens nothing but the sandbox in this process
AGENCY = (
    ("Café Zoë", "Europe/Madrid", 64),
    ("Окна Плюс", "Europe/Moscow", 10_600),
    ("東京 Travel", "Asia/Tokyo", 220),
)
"""Name, time zone and count of numbers of each customer; one has more numbers than one API response can hold."""


@click.command(epilog=EPILOG, short_help="See what vnsync does, with a made-up agency. No account needed.")
@click.option(
    "--days",
    type=click.IntRange(1, 60),
    metavar="N",
    default=3,
    show_default=True,
    help="How many days to sync.",
)
@click.option(
    "--database-url",
    metavar="URL",
    default="sqlite:///vnsync-demo.db",
    show_default=True,
    help="A SQLite file of its own.",
)
@options.output
@options.settings(*options.LOG)
def demo(loaded: Loaded, days: int, database_url: str, output: str) -> int:
    """Sync a small made-up agency for some days, and show what changed. No account is needed."""
    from etl.demo.file import fresh_warehouse

    state = current_state()
    state.outcome = 1  # until the work is done
    engine, path = fresh_warehouse(database_url)
    synced = _sync_days(loaded, engine, days)
    state.outcome = 0
    if output == "json":
        _write_json(synced, engine, database_url)
    else:
        _write_text(synced, engine, path)
    return 0


def _sync_days(loaded: Loaded, engine: Engine, days: int) -> list[DemoDay]:
    """Sync the agency on each of the days, of which the last is today; the agency changes between two days."""
    from etl.demo.file import DaysAgo
    from etl.read.summary import run_changes
    from etl.report.agency import DemoDay

    world = _agency()
    synced: list[DemoDay] = []
    for day in range(1, days + 1):
        if synced:
            world.pass_day(SHARE_CHANGED)
        result = _sync(loaded, engine, world, DaysAgo(days - day))
        changes = run_changes(engine, result.run_id) if synced else {}
        synced.append(DemoDay(day=day, result=result, changes=changes))
    return synced


def _agency() -> World:
    from etl.sandbox.world import CustomerPlan, World

    plans = [CustomerPlan(numbers=numbers, name=name, timezone=zone) for name, zone, numbers in AGENCY]
    return World(seed=SEED, customers=plans, role="agent", edition="newer")


def _sync(loaded: Loaded, engine: Engine, world: World, clock: DaysAgo) -> RunResult:
    """One run against the sandbox in this process."""
    from random import SystemRandom

    from etl.cli.commands.sync import failure
    from etl.cli.connect import reporting
    from etl.extract.credentials import PermanentKey
    from etl.extract.jsonrpc import open_api
    from etl.sandbox.api import Api
    from etl.sandbox.transport import SandboxTransport
    from etl.sync import run

    sandbox = SandboxTransport(Api(world, token=TOKEN, now=lambda: clock.now().timestamp()))
    key, random = PermanentKey(TOKEN), SystemRandom()
    with (
        reporting(loaded, clock=clock, level="warning") as report,
        open_api(SOURCE, key, clock=clock, random=random, report=report, transport=sandbox) as api,
    ):
        chosen = run.SyncOptions()
        result = run.sync(api, engine, options=chosen, clock=clock, random=random, report=report)
    if result.exit_code:
        raise failure(result)
    return result


def _write_json(synced: list[DemoDay], engine: Engine, url: str) -> None:
    from etl.cli.output import write_json
    from etl.read.summary import table_sizes
    from etl.report.outcomes import facts

    tables = {size.table: {"rows": size.rows, "ended": size.ended} for size in table_sizes(engine)}
    days = [{"day": d.day, "run": facts(d.result), "changes": list(d.changes.values())} for d in synced]
    write_json({"database_url": url, "exit_code": 0, "tables": tables, "days": days})


def _write_text(synced: list[DemoDay], engine: Engine, path: Path) -> None:
    import shutil

    from etl.cli.output import write_line, write_table
    from etl.read.summary import moved_number, table_sizes
    from etl.report.agency import campaigns_table, days_table, headline, next_commands, sizes_table
    from etl.report.wording import printable

    write_line(printable(headline(synced, path), 1000))
    write_table(days_table(synced))
    write_table(sizes_table(table_sizes(engine)))
    moved = moved_number(engine)
    if moved:
        write_table(campaigns_table(*moved))
    write_line("\nNext steps:")
    number = moved[0] if moved else None
    for command in next_commands(path, number, sqlite_shell=shutil.which("sqlite3") is not None):
        click.echo(f"  {command}")
