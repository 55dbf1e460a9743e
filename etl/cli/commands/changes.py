"""`vnsync changes`: what changed between two moments, in the users' words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from etl.cli import options, reading
from etl.cli.state import current_state
from etl.errors import Usage

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from etl.config.settings import Loaded
    from etl.read.as_of import Observed
    from etl.read.change_kinds import Kind
    from etl.read.changes import TimeRange

    Counts = dict[int, Counter[tuple[Kind, str]]]
    Known = Mapping[int, Observed]

EPILOG = """\b
Examples:
  vnsync changes --from 2026-03-01                         count changes by kind since then
  vnsync changes --from 2026-03-01 --to 2026-03-02 --details
  vnsync changes --account 12001 --output csv > changes.csv
  vnsync changes --details --output json | jq '.changes[] | select(.kind == "moved")'

Each change happened after one observation and not later than the next; both times are shown.
--from and --to select by the later one: after --from, not later than --to. So the tables as of
--from, with these changes, are the tables as of --to. CSV always has the details.
"""


@click.command(epilog=EPILOG, short_help="What changed between two moments.")
@click.option(
    "--from", "start", type=reading.InstantParam(), metavar="T", help="Observed after T. Default: all observations."
)
@click.option("--to", type=reading.InstantParam(), metavar="T", help="Observed not later than T. Default: now.")
@click.option(
    "--as-of", type=reading.InstantParam(), metavar="T", help="The same as --to, under its name in other commands."
)
@reading.accounts
@click.option("--details", is_flag=True, help="Also show each change.")
@click.option("--output", type=click.Choice(["text", "json", "csv"]), default="text", help="Format of stdout.")
@options.settings(*options.DATABASE, *options.LOG)
def changes(
    loaded: Loaded,
    start: datetime | None,
    to: datetime | None,
    as_of: datetime | None,
    account: tuple[int, ...],
    details: bool,
    output: str,
) -> None:
    """Show what changed, and in which interval: numbers added, removed and moved, rules switched, campaigns renamed."""
    from etl.read.as_of import observed

    if to and as_of:
        raise Usage("--to and --as-of are the same", remedy="Leave one of them out.")
    end, name = (as_of, "--as-of") if as_of else (to, "--to")
    with reading.time_range(loaded, start, end, account, names=("--from", name)) as (connection, window):
        known = {account.account_id: account for account in observed(connection, end, window.accounts)}
        _WRITERS[output](connection, window, known, details)


def _write_text(connection: Connection, window: TimeRange, known: Known, details: bool) -> None:
    from etl.cli.output import write_line, write_table
    from etl.read.changes import count_changes, read_changes
    from etl.report import changes as words

    counts = count_changes(connection, window)
    write_line(words.headline(window, counts))
    if not counts:
        return
    write_table(words.totals_table(counts, known))
    last = None
    for change in read_changes(connection, window) if details else ():
        if last != (change.account_id, change.observed_at):
            last = change.account_id, change.observed_at
            write_line(f"\n{words.interval(change, known)}")
        write_line(f"  {words.sentence(change.change_event)}")


def _write_json(connection: Connection, window: TimeRange, known: Known, details: bool) -> None:
    """Write one object on one line; its list of changes is written while it is read."""
    from etl.cli.output import json_text, write_json, write_line, write_text
    from etl.read.changes import count_changes, read_changes
    from etl.report import changes as words

    accounts = words.totals_object(count_changes(connection, window), known)
    head = {"from": window.start, "to": window.end, "accounts": accounts}
    if not details:
        write_json(head)
        return
    current_state().streamed = True
    write_text(json_text(head).removesuffix("}") + ', "changes": [')
    for i, change in enumerate(read_changes(connection, window)):
        write_text((", " if i else "") + json_text(words.as_object(change)))
    write_line("]}")


def _write_csv(connection: Connection, window: TimeRange, _known: Known, _details: bool) -> None:
    from etl.cli.output import write_text
    from etl.read.changes import read_changes
    from etl.report import changes as words
    from etl.snapshot.csv_text import line

    write_text(line(words.COLUMNS))
    for change in read_changes(connection, window):
        write_text(line(words.as_cells(change)))


_WRITERS = {"text": _write_text, "json": _write_json, "csv": _write_csv}
