"""`vnsync accounts`: the accounts that the token reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from etl.cli import options

if TYPE_CHECKING:
    from etl.config.settings import Loaded
    from etl.extract.accounts import Account, Description, Roster

EPILOG = """\b
Examples:
  vnsync accounts
  vnsync accounts --quick --output json
"""


@click.command(epilog=EPILOG, short_help="The accounts that the token reaches.")
@click.option("--quick", is_flag=True, help="Leave out the time zones, which saves an API point for each customer.")
@options.output
@options.settings("concurrency", *options.API, *options.LOG)
def accounts(loaded: Loaded, quick: bool, output: str) -> None:
    """List the accounts that the token reaches: under an agent's token, all its customers."""
    from etl.cli.connect import data_api, reporting
    from etl.clock import SystemClock
    from etl.extract.accounts import discover
    from etl.sync.describe_all import describe_all

    clock = SystemClock()
    with reporting(loaded, clock=clock) as report, data_api(loaded, clock=clock, report=report) as api:
        roster = discover(api)
        asked = roster.accounts if roster.role == "agent" and not quick else ()
        described = describe_all(api, asked, at_once=loaded.settings.concurrency, clock=clock, report=report)
        rows = [_row(account, described.get(account.account_id)) for account in roster.accounts]
        rows += [_shown(account, "no user of this customer is visible to the token") for account in roster.without_user]
    rows.sort(key=lambda row: row["account_id"])
    _write(roster, rows, output)


def _row(account: Account, described: Description | None) -> dict[str, Any]:
    """One account's row, with its description if there is one."""
    if described is None:
        return _shown(account)
    from msgspec.structs import replace

    named = replace(account, account_name=account.account_name or described.name, timezone=described.timezone)
    return _shown(named, described.problem or "")


def _shown(account: Account, problem: str = "") -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "account_name": account.account_name,
        "timezone": account.timezone,
        "users": len(account.user_ids),
        "state": account.state,
        "problem": problem,
    }


def _write(roster: Roster, rows: list[dict[str, Any]], output: str) -> None:
    from etl.cli.output import write_json, write_line, write_table
    from etl.report.terminal.tables import Table
    from etl.report.wording import counted

    if output == "json":
        write_json({"role": roster.role, "accounts": rows})
        return
    names = ["account_id", "account_name", "timezone", "users", "state", "problem"]
    shown = [n for n in names if n not in ("state", "problem") or any(r[n] not in (None, "", "active") for r in rows)]
    write_table(Table(shown, [[r[n] for n in shown] for r in rows], frozenset({"account_id", "users"})))
    write_line(f"This {roster.role}'s token can read {counted(len(rows), 'account')}.")
