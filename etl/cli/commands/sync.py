"""`vnsync sync`: the main command, which reads every number and publishes changes."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import click

from etl.cli import choice, options
from etl.cli.state import current_state
from etl.errors import VnsyncError, with_exit_code

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy import Engine

    from etl.config.settings import Loaded
    from etl.domain.ports import Clock
    from etl.domain.runs import RunResult
    from etl.domain.shards import Shard
    from etl.sync.run import SyncOptions

EPILOG = """\b
Examples:
  vnsync sync                                        every account that the token reaches
  vnsync sync --account 101 --account 102            only these
  vnsync sync --older-than 20h                       again, where the last run did not get to
  vnsync sync --shard 2/4                            the second quarter of the accounts
  vnsync sync --database-url postgresql://u@host/db  into PostgreSQL
  vnsync sync --concurrency 1                        one account after the other
  vnsync sync --approve-close 101                    publish what the mass-close guard held
  vnsync sync --every 5m                             stay, and sync every five minutes
  vnsync sync --archive /srv/vnsync-archive          keep every response, for `vnsync replay`
  vnsync sync --no-shortcuts                         decode every record, unchanged ones too
  vnsync sync --output json --log-format json        for programs

Exit codes: 0 done; 3 some accounts failed or are held, the others are published;
75 try later (limit, lock); 77 token or rights; 78 configuration; 65, 69, 70, 74 see the README.
"""


@click.command(epilog=EPILOG, short_help="The main command: read every number, publish what changed.")
@choice.accounts
@click.option("--approve-close", type=int, multiple=True, metavar="ID", help="Publish this account's mass close.")
@click.option("--every", type=choice.Duration(), metavar="AGE", help="Stay, and sync on this beat: 5m, 1h.")
@click.option("--no-upgrade", is_flag=True, help="Refuse an empty or older database instead of upgrading it.")
@click.option("--no-shortcuts", is_flag=True, help="Also decode and compare records whose bytes did not change.")
@click.option("--details", is_flag=True, help="Also show what changed table by table.")
@options.output
@options.brief
@options.settings(
    "archive",
    "max_close_share",
    "concurrency",
    "share_points",
    "users",
    "openlineage_file",
    *options.API,
    *options.DATABASE,
    *options.LOG,
)
def sync(
    loaded: Loaded,
    account: tuple[int, ...],
    shard: Shard | None,
    older_than: timedelta | None,
    approve_close: tuple[int, ...],
    every: timedelta | None,
    no_upgrade: bool,
    no_shortcuts: bool,
    details: bool,
    output: str,
    brief: bool,
) -> int:
    """Read every number from the API and publish what changed, with its history.

    An agent's token syncs all its customers. Each account is published whole or not at all.
    """
    from etl.cli.announcements import announcing
    from etl.cli.connect import credentials, warehouse
    from etl.cli.resident import sync_every
    from etl.clock import SystemClock
    from etl.sync.run import SyncOptions

    state = current_state()
    announcements = announcing(loaded, state, os.environ)
    announcements.begin()
    chosen = SyncOptions(
        accounts=frozenset(account),
        shard=shard,
        older_than=older_than,
        approve_close=frozenset(approve_close),
        max_close_share=loaded.settings.max_close_share,
        concurrency=loaded.settings.concurrency,
        shortcuts=not no_shortcuts,
        users=loaded.settings.users,
    )
    credentials(loaded.settings)  # refused here, before the database is touched
    state.outcome = VnsyncError.exit_code  # a closed output counts as a failure until the work is done
    engine = warehouse(loaded)
    prepare(engine, upgrade=not no_upgrade)
    announcements.opened(engine)
    if every is not None:
        write = functools.partial(_write_beat, output=output, brief=brief)
        sync_every(loaded, engine, SystemClock(), chosen, every, write, announcements)
    result = _run_or_explain(loaded, engine, chosen, output, brief)
    state.outcome = result.exit_code
    announcements.finished(result)
    if output == "json":
        _write_json(result, brief)
    else:
        _write(result, details)
    if result.exit_code:
        raise failure(result)
    return result.exit_code


def prepare(engine: Engine, *, upgrade: bool) -> None:
    """Bring an empty or older warehouse up to date, or refuse it when `upgrade` is off."""
    from etl.store import migrations

    if upgrade:
        migrations.upgrade(engine)
    else:
        migrations.check(engine)


def failure(result: RunResult) -> VnsyncError:
    """The error of a run that did not succeed, with its cause in one line; its accounts' errors have own remedies."""
    from etl.report.outcomes import incomplete_because, published_line

    cause, remedy = result.error or incomplete_because(result), published_line(result)
    error = with_exit_code(result.exit_code, cause, remedy=remedy, run_id=result.run_id)
    if result.stopped_by is not None:
        error.code, error.retry_after = result.stopped_by.code, result.stopped_by.retry_after
    return error


def _run_or_explain(loaded: Loaded, engine: Engine, chosen: SyncOptions, output: str, brief: bool) -> RunResult:
    """Make one run. An error that ends it says how many accounts are published, and has the run's JSON object."""
    from etl.clock import SystemClock

    try:
        return _run(loaded, engine, SystemClock(), chosen)
    except VnsyncError as error:
        _add_published(error)
        if output == "json" and error.run_id is not None:
            _write_failed_run(error, brief)
        raise


def _run(loaded: Loaded, engine: Engine, clock: Clock, chosen: SyncOptions) -> RunResult:
    from etl.cli.allocator import few_arenas
    from etl.cli.connect import reporting
    from etl.cli.run_once import run_alone

    few_arenas()
    with reporting(loaded, clock=clock) as outlet:
        return run_alone(loaded, engine, chosen=chosen, clock=clock, outlet=outlet)


def _add_published(error: VnsyncError) -> None:
    """Add to the remedy of an error that ended the run how many accounts are published."""
    from etl.domain.runs import RunResult
    from etl.report.outcomes import published_before

    if isinstance(error.run, RunResult) and (published := published_before(error.run)):
        error.remedy = f"{published} {error.remedy}"


def _write_beat(result: RunResult, output: str, brief: bool) -> None:
    """Write the result of one run of a resident sync: a line, or a JSON object on a line of its own."""
    from etl.cli.output import flush, write_json_now, write_line
    from etl.report.brief import of_run
    from etl.report.outcomes import closing_line, facts, unpublished

    if output == "json":
        write_json_now(of_run(result) if brief else facts(result))
        return
    for sentence in (*unpublished(result), closing_line(result)):
        write_line(sentence)
    flush()


def _write_json(result: RunResult, brief: bool) -> None:
    from etl.cli.output import write_json
    from etl.report.brief import of_run
    from etl.report.outcomes import facts

    write_json(of_run(result) if brief else facts(result))


def _write_failed_run(error: VnsyncError, brief: bool) -> None:
    """Write the JSON object of a run that an error ended; its accounts are those that had ended before."""
    from etl.cli.output import write_json
    from etl.domain.runs import RunResult, RunStatus

    if isinstance(error.run, RunResult):
        _write_json(error.run, brief)
        return
    status = RunStatus.INTERRUPTED if error.exit_code > 128 else RunStatus.FAILED
    run = {"run_id": error.run_id, "status": status, "exit_code": error.exit_code, "published": 0}
    write_json({**run, "accounts": []})


def _write(result: RunResult, details: bool) -> None:
    from etl.cli.output import write_line, write_table
    from etl.report.outcomes import accounts_table, closing_line, details_table, unpublished

    write_table(accounts_table(result))
    table = details_table(result)
    if details and table.rows:
        write_table(table)
        write_line("")
    for sentence in unpublished(result):
        write_line(sentence)
    write_line(closing_line(result))
