"""`vnsync history`: the history of one number."""

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

NUMBER is an id, or a phone or redirection number in any usual spelling. If several numbers match,
each has its own heading. Exit 2 if no number matches.
"""


@click.command(epilog=EPILOG, short_help="One number's history: values, campaigns and scenarios.")
@click.argument("number")
@reading.accounts
@reading.as_of()
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def history(loaded: Loaded, number: str, account: tuple[int, ...], as_of: datetime | None, output: str) -> None:
    """Show a number's history: status, names, campaigns and scenarios with periods, under the names of the time."""
    from etl.read.history import read_histories

    reading.refuse_later(as_of, "--as-of")
    histories = read_histories(reading.readable(loaded), number, moment=as_of, accounts=frozenset(account))
    _write(number, histories, as_of, output)


def _write(number: str, histories: Sequence[NumberHistory], as_of: datetime | None, output: str) -> None:
    from etl.cli.output import write_json, write_line, write_table
    from etl.report import history as words

    if output == "json":
        write_json(words.as_object(number, histories, as_of))
        return
    if len(histories) > 1:
        write_line(words.several(number, histories) + "\n")
    for i, history in enumerate(histories):
        write_line(("\n" if i else "") + words.heading(history, as_of))
        for table in words.tables(history, then=as_of is not None):
            write_table(table)
    write_line("\n" + words.EXPLAINED)
