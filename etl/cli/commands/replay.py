"""`vnsync replay`: a warehouse rebuilt from archived responses, or their comparison with the warehouse."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from etl.cli import options, reading
from etl.cli.paths import PATH
from etl.cli.state import current_state
from etl.domain.figures import counted, thousands
from etl.errors import IntegrityBroken

if TYPE_CHECKING:
    from etl.config.settings import Loaded
    from etl.replay.outcome import Replayed
    from etl.replay.restate import Restated

EPILOG = """\b
Examples:
  vnsync replay /srv/vnsync-archive --database-url sqlite:///again.db
  vnsync replay /srv/vnsync-archive --database-url sqlite:///again.db --to 2026-03-01
  vnsync replay /srv/vnsync-archive --diff                 compare it with the warehouse

The database must be empty, or end where the archive goes on; runs that it already holds are
compared and not written again. Syncs that were held, failed or stopped publish nothing in a
replay either. --diff replays into a temporary file, compares its history with the warehouse, and
writes nothing else.

Exit codes: 0 the same chain heads, the same history; 70 the result differs (the first run,
account and table are named), or the archive is damaged; 2 not an archive, nothing to replay in
it, or a database from which the archive does not go on.
"""


@click.command(epilog=EPILOG, short_help="Rebuild a warehouse from archived responses.")
@click.argument("archive", type=PATH)
@click.option("--run", "runs", type=int, multiple=True, metavar="ID", help="Replay this run only. Repeatable.")
@click.option("--to", "until", type=reading.InstantParam(), metavar="T", help="Replay runs begun not later than T.")
@click.option("--diff", is_flag=True, help="Compare with the warehouse, and write nothing.")
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def replay(
    loaded: Loaded, archive: Path, runs: tuple[int, ...], until: datetime | None, diff: bool, output: str
) -> int:
    """Rebuild a warehouse from the responses in ARCHIVE, through the same pipeline, to the same chain heads."""
    from etl.cli.commands.sync import prepare
    from etl.cli.connect import reporting, warehouse
    from etl.clock import SystemClock
    from etl.read.as_of import refuse_future
    from etl.replay import rebuild, restate
    from etl.workers.pool import transformers

    clock = SystemClock()
    refuse_future(until, clock.now(), "--to")
    asked = rebuild.chosen(archive, runs=runs, until=until)  # refused here, before a database is made
    with reporting(loaded, clock=clock, level="warning") as report, transformers() as offered:
        if diff:
            found = restate.restate(asked, reading.readable(loaded), report=report, transformers=offered)
        else:
            engine = warehouse(loaded)
            prepare(engine, upgrade=True)
            done = rebuild.replay(asked, engine, report=report, transformers=offered)
    return _write_difference(found, output) if diff else _write(done, output)  # once the progress is gone


def _write(done: Replayed, output: str) -> int:
    from etl.cli.output import write_json, write_line, write_table
    from etl.report.replay import accounts_table, closing_line, facts, mismatches_table

    if output == "json":
        write_json(facts(done))
    else:
        write_table(accounts_table(done))
        if done.mismatches:
            write_table(mismatches_table(done))
        write_line(closing_line(done))
    return _ended(done.error())


def _write_difference(found: Restated, output: str) -> int:
    from etl.cli.output import write_json, write_line, write_table
    from etl.report.replay import compared_line, difference_table, facts, mismatches_table

    error = _difference(found)
    if output == "json":
        write_json({**facts(found.replayed), "exit_code": error.exit_code if error else 0, "tables": found.tables})
    else:
        write_table(difference_table(found.tables))
        if found.replayed.mismatches:
            write_table(mismatches_table(found.replayed))
        write_line(compared_line(found))
    return _ended(error)


def _difference(found: Restated) -> IntegrityBroken | None:
    if found.failed:
        account = found.replayed.accounts[found.failed[0]]
        others = len(found.failed) - 1
        more = f" (and {counted(others, 'more account')})" if others else ""
        return IntegrityBroken(
            f"account {account.account_id} could not be replayed, and is not compared{more}: {account.failure}",
            remedy="The table shows how the other accounts compare",
        )
    if not found.differing:
        return None
    first = found.differing[0]
    here, there = counted(first.only_warehouse, "version"), thousands(first.only_replay)
    return IntegrityBroken(
        f"the archive holds another history: account {first.account_id}, {first.table}, key {first.first_key}"
        f" ({here} in the warehouse only, {there} in the replay only)",
        remedy=_advice(found),
    )


def _advice(found: Restated) -> str:
    """Remedy for a difference: a replay must not bring back erased content, nor lose content that was not erased."""
    if found.erased:
        return (
            "Numbers were erased from the warehouse, and a replay would bring their content back from the archive:"
            " erase it there with `vnsync archive erase`"
        )
    if found.erased_archive:
        return "Content was erased from the archive, and a replay would lack it: keep this warehouse"
    if undone := found.replayed.without_undone(comparing=True):
        return undone
    return "If this vnsync reads the responses better, replay into a new database and use that"


def _ended(error: IntegrityBroken | None) -> int:
    if error is not None:
        current_state().outcome = error.exit_code
        raise error
    return 0
