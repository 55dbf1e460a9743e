"""`vnsync report`: the state of the warehouse as one HTML page."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import etl
from etl.cli import options, reading
from etl.cli.choice import Duration
from etl.cli.paths import PATH
from etl.errors import Usage

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.config.settings import Loaded

EPILOG = """\b
Examples:
  vnsync report --out report.html
  vnsync report --out report.html --max-age 3h
  vnsync report --out march.html --as-of 2026-03-01
  vnsync report --out cafe.html --account 12001
  vnsync report --out /srv/reports/numbers.html --output json | jq .bytes

The page is self-contained: it loads nothing and runs no script, so it can be mailed, archived
and printed. An existing file is replaced only if it is an earlier report.
"""


@click.command(epilog=EPILOG, short_help="One HTML page: freshness, changes, what needs attention.")
@click.option("--out", type=PATH, metavar="FILE", required=True, help="The file to write, mode 0600.")
@click.option(
    "--max-age",
    type=Duration(),
    metavar="AGE",
    default="26h",
    show_default=True,
    help="Data older than this is shown as stale.",
)
@click.option("--account", type=int, metavar="ID", help="A page of this account alone.")
@reading.as_of()
@options.output
@options.settings(*options.DATABASE, *options.LOG)
def report(
    loaded: Loaded, out: Path, max_age: timedelta, account: int | None, as_of: datetime | None, output: str
) -> None:
    """Write one self-contained HTML page: what needs attention, what changed and moved, a calendar, each account."""
    from etl.cli.output import hide
    from etl.cli.whole_file import write_whole
    from etl.clock import SystemClock
    from etl.read.as_of import refuse_future
    from etl.report.html.shell import OPENING

    if str(out) == "-":
        raise Usage("--out takes a file's name; the page does not go to stdout", remedy="Name report.html, say.")
    now = SystemClock().now()
    refuse_future(as_of, now, "--as-of")
    engine = reading.readable(loaded)
    made = {"made_at": now, "max_age": max_age, "version": etl.__version__, "hide": hide}
    page, accounts = _whole(engine, as_of, made) if account is None else _of_account(engine, account, as_of, made)
    content = page.encode()
    write_whole(out, content, replaces=OPENING.encode())
    _write(accounts, out, len(content), output)


def _whole(engine: Engine, as_of: datetime | None, made: dict[str, Any]) -> tuple[str, int]:
    """(page of the whole warehouse, count of its accounts)."""
    from etl.read.overview import read_overview
    from etl.report.html.document import report_page

    seen = read_overview(engine, made["made_at"], moment=as_of)
    return report_page(seen, **made), len(seen.status.accounts)


def _of_account(engine: Engine, account: int, as_of: datetime | None, made: dict[str, Any]) -> tuple[str, int]:
    """(page of one account, 1)."""
    from etl.read.account_overview import read_account
    from etl.report.html.account_page import account_page

    return account_page(read_account(engine, made["made_at"], account, moment=as_of), **made), 1


def _write(accounts: int, out: Path, size: int, output: str) -> None:
    from etl.cli.output import write_json, write_line
    from etl.report.wording import counted, printable, thousands

    if output == "json":
        write_json({"path": str(out), "bytes": size, "accounts": accounts})
        return
    write_line(f"{printable(str(out))}: {counted(accounts, 'account')}, {thousands(size)} bytes.")
