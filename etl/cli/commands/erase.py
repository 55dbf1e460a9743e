"""`vnsync erase`: removal of one number's personal content from the warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etl.cli import options, reading

if TYPE_CHECKING:
    from etl.config.settings import Loaded
    from etl.erasure.warehouse import Erased

EPILOG = """\b
Examples:
  vnsync erase --account 12001 --number 100037                       show what would be erased
  vnsync erase --account 12001 --number 100037 --yes --reason "request 17 of 2026-03-01"

Phone numbers, comment, name and unknown fields become null in every version and in quarantine.
The chain stays verifiable, and `verify` reports that there was an erasure. Erase at the vendor
first: content that the API still lists comes back with the next sync, as a new version.
See docs/erasure.md for archives, snapshots and backups.
"""


@click.command(epilog=EPILOG, short_help="Erase one number's personal content permanently.")
@click.option("--account", type=int, required=True, metavar="ID", help="The account's id.")
@click.option("--number", type=int, required=True, metavar="ID", help="The number's id; see `vnsync history`.")
@click.option("--reason", metavar="TEXT", help="Kept with the erasure; name no person in it.")
@click.option("--yes", is_flag=True, help="Do it. Without it nothing is erased.")
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def erase(loaded: Loaded, account: int, number: int, reason: str | None, yes: bool, output: str) -> None:
    """Erase a number's phone numbers, comment and name from every version, closed or current; the chain stays valid."""
    from etl.clock import SystemClock
    from etl.erasure.warehouse import count_erasable, erase_number

    engine = reading.readable(loaded)
    if yes:
        found = erase_number(engine, account, number, now=SystemClock().now(), reason=reason)
    else:
        found = count_erasable(engine, account, number)
    _write(found, yes, output)


def _write(found: Erased, done: bool, output: str) -> None:
    from etl.cli.output import write_json, write_line
    from etl.report.values import plain
    from etl.report.wording import counted

    if output == "json":
        write_json({"erased": done, **plain(found)})
        return
    erased = f"{counted(found.versions, 'version')} and {counted(found.quarantined, 'quarantined record')}"
    write_line(
        f"Number {found.virtual_number_id} of account {found.account_id}: {erased} "
        + ("erased." if done else "would be erased; nothing was. Add --yes to do it.")
    )
    if found.earlier:
        write_line(f"Erased earlier: {counted(found.earlier, 'version')} of this number.")
