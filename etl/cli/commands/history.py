"""`vnsync history`: one number's life."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from etl.cli import options, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl.config.settings import Loaded
    from etl.read.history import NumberHistory

EPILOG = """\b
Examples:
  vnsync history '+7 (495) 123-45-67'
  vnsync history 100037 --account 12001
  vnsync history 84951234567 --as-of 2026-03-01
  vnsync history 74951234567 --output json | jq '.matches[].campaigns'

\b
NUMBER is an id, or a phone or redirection number in any usual spelling. When it means several
numbers, each has its own heading. Exit 2 when there is none.
"""


@click.command(epilog=EPILOG, short_help="One number's life: what it was, and what held it, when.")
@click.argument("number")
@reading.accounts
@reading.as_of()
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def history(loaded: Loaded, number: str, account: tuple[int, ...], as_of: datetime | None, output: str) -> None:
    """Tell a number's life: status, names and campaigns from when to when, by the names of the time."""
    from etl.clock import SystemClock
    from etl.read.as_of import refuse_future
    from etl.read.history import read_histories

    refuse_future(as_of, SystemClock().now(), "--as-of")
    lives = read_histories(reading.readable(loaded), number, moment=as_of, accounts=frozenset(account))
    _write(number, lives, as_of, output)


def _write(number: str, lives: Sequence[NumberHistory], as_of: datetime | None, output: str) -> None:
    from etl.cli.output import write_json, write_line, write_table
    from etl.report import history as words

    if output == "json":
        write_json(words.as_object(number, lives, as_of))
        return
    if len(lives) > 1:
        write_line(words.several(number, lives) + "\n")
    for i, life in enumerate(lives):
        write_line(("\n" if i else "") + words.heading(life, as_of))
        for table in words.tables(life, then=as_of is not None):
            write_table(table)
    write_line("\n" + words.EXPLAINED)
