"""`vnsync plan`: a dry run of `vnsync sync`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from etl.cli import choice, options
from etl.cli.state import current_state
from etl.errors import VnsyncError, with_exit_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from sqlalchemy import Engine

    from etl.config.settings import Loaded
    from etl.domain.shards import Shard
    from etl.sync.plan import Plan

EPILOG = """\b
Examples:
  vnsync plan                                        show what a sync would do now
  vnsync plan --account 101 --details                one account, table by table
  vnsync plan --every 5m                             the points that a beat takes in a day
  vnsync plan --output json | jq '.accounts[] | {account_id, status, rows_closed}'

A plan sends the same requests as a sync, and costs the same points. It writes nothing: no row,
no run, no lock. A missing database is not created; a database without tables counts as empty.
Exit codes: those with which `vnsync sync` would end; 3 when an account would be held.
"""


@click.command(epilog=EPILOG, short_help="What a sync would do now, without doing it.")
@choice.accounts
@click.option(
    "--approve-close", type=int, multiple=True, metavar="ID", help="Plan as if this mass close were approved."
)
@click.option("--every", type=choice.Duration(), metavar="AGE", help="Say what `sync --every` on this beat costs.")
@click.option("--details", is_flag=True, help="Also show what would change table by table.")
@options.output
@options.settings("max_close_share", "users", *options.API, *options.DATABASE, *options.LOG)
def plan(
    loaded: Loaded,
    account: tuple[int, ...],
    shard: Shard | None,
    older_than: timedelta | None,
    approve_close: tuple[int, ...],
    every: timedelta | None,
    details: bool,
    output: str,
) -> int:
    """Read every number as a sync would, and show what it would open, change and close, and what it costs."""
    from etl.cli.connect import credentials, data_api, reporting
    from etl.clock import SystemClock
    from etl.extract.prefetch import threaded
    from etl.sync import plan
    from etl.sync.run import SyncOptions

    credentials(loaded.settings)
    chosen = SyncOptions(
        accounts=frozenset(account),
        shard=shard,
        older_than=older_than,
        approve_close=frozenset(approve_close),
        max_close_share=loaded.settings.max_close_share,
        users=loaded.settings.users,
    )
    clock = SystemClock()
    with (
        _warehouse(loaded) as (engine, missing),
        reporting(loaded, clock=clock) as report,
        data_api(loaded, clock=clock, report=report) as api,
    ):
        found = plan.plan(api, engine, options=chosen, clock=clock, report=report, fetcher=threaded)
    current_state().outcome = found.exit_code
    _write(found, output, details, missing, every)
    if found.exit_code:
        raise _failure(found)
    return 0


@contextlib.contextmanager
def _warehouse(loaded: Loaded) -> Iterator[tuple[Engine, bool]]:
    """(engine of the warehouse, False); or (engine of an empty one in memory, True) where there are no tables yet.

    The one in memory ends with the block: its pool keeps a connection open.
    """
    from etl.cli.connect import is_there, warehouse
    from etl.store import migrations
    from etl.store.engine import open_warehouse

    if is_there(loaded):
        engine = warehouse(loaded)
        if migrations.current(engine) is not None:
            yield engine, False
            return
        migrations.require_room(engine)
    engine = open_warehouse("sqlite://")
    try:
        migrations.upgrade(engine)
        yield engine, True
    finally:
        engine.dispose()


def _failure(found: Plan) -> VnsyncError:
    from etl.report.plans import incomplete_because

    remedy = "Nothing was written; `vnsync sync` would end like this."
    return with_exit_code(found.exit_code, incomplete_because(found), remedy=remedy)


def _write(found: Plan, output: str, details: bool, missing: bool, every: timedelta | None) -> None:
    from etl.cli.output import write_json, write_line, write_table
    from etl.report import plans

    if output == "json":
        beat = {} if every is None else {"beat": plans.beat_facts(found, every)}
        write_json(plans.facts(found, new_warehouse=missing) | beat)
        return
    write_table(plans.accounts_table(found))
    table = plans.details_table(found)
    if details and table.rows:
        write_table(table)
        write_line("")
    for sentence in plans.sentences(found, new_warehouse=missing):
        write_line(sentence)
    if every is not None:
        write_line(plans.beat_sentence(found, every))
