"""Output of the demo: changes by day, sizes of the tables, one number's campaigns, and commands to try next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from etl.domain.runs import RunResult
from etl.read.summary import AccountChanges, Period, TableSize
from etl.report.terminal.tables import Cell, Table
from etl.report.wording import counted, lasting, moment, thousands


class DemoDay(Struct, frozen=True, kw_only=True):
    """A day of the demo: its run, and the changes by account (empty on the first day, when every row is new)."""

    day: int
    result: RunResult
    changes: Mapping[int, AccountChanges]


KINDS = ("added", "removed", "edited", "moved", "switched", "renamed")


def headline(days: Sequence[DemoDay], file: Path) -> str:
    """Summary of the demo in one sentence."""
    numbers = sum(a.listed_numbers or 0 for a in days[-1].result.accounts)
    took = sum((d.result.finished_at - d.result.started_at).total_seconds() for d in days)
    agency = counted(len(days[-1].result.accounts), "customer")
    return (
        f"A made-up agency of {agency} with {counted(numbers, 'number')}, synced on {counted(len(days), 'day')}"
        f" into {file}, in {lasting(took)}."
    )


def days_table(days: Sequence[DemoDay]) -> Table:
    """Table with one row for each day and account: how many numbers it listed, and how many changed in which way."""
    rows = [row for day in days for row in _rows(day)]
    columns = ["day", "account", "name", "numbers", *KINDS]
    right = frozenset(columns) - {"day", "name"}
    return Table(columns, rows, right, title="Changes by day, in numbers", once=["day"])


def _rows(day: DemoDay) -> Iterator[list[Cell]]:
    for account in day.result.accounts:
        when = f"{account.observed_at:%Y-%m-%d}" if account.observed_at else ""
        first: list[Cell] = [when, account.account_id, account.account_name, thousands(account.listed_numbers)]
        changes = day.changes.get(account.account_id)
        if changes:
            yield [*first, *(thousands(getattr(changes, kind)) if getattr(changes, kind) else "" for kind in KINDS)]
        else:
            added = thousands(account.listed_numbers) if account.rows_opened else ""
            yield [*first, added, *[""] * (len(KINDS) - 1)]


def sizes_table(sizes: Sequence[TableSize]) -> Table:
    """Table with one row for each table of the warehouse: its current rows, and its versions that have ended."""
    rows: list[list[Cell]] = [[s.table, thousands(s.rows), thousands(s.ended)] for s in sizes]
    columns = ["table", "rows now", "ended versions"]
    return Table(
        columns, rows, frozenset(columns[1:]), title="Tables of the warehouse (<table>_history has both kinds)"
    )


def campaigns_table(number: int, periods: Sequence[Period]) -> Table:
    """Table of the campaigns that one number was in, with their periods."""
    rows: list[list[Cell]] = [[p.phone, p.campaign, _shown(p.valid_from), _shown(p.valid_to)] for p in periods]
    columns = ["phone", "campaign", "from (UTC)", "to"]
    return Table(columns, rows, title=f"Campaigns of number {number} (view number_campaign_periods)")


def _shown(instant: str | None) -> str:
    return "now" if instant is None else moment(datetime.fromisoformat(instant))


def next_commands(file: Path, number: int | None, *, sqlite_shell: bool) -> Iterator[str]:
    """Commands to try next; each can be copied as it is."""
    where = f"virtual_number_id = {number}" if number else "valid_to is null limit 20"
    query = f"""select campaign_name, valid_from, valid_to
    from number_campaign_periods where {where}"""  # noqa: S608 - a whole number, for people to run
    yield f"vnsync status --database-url {shlex.quote(f'sqlite:///{file}')}"
    if sqlite_shell:
        yield f'sqlite3 {shlex.quote(str(file))} "{query}"'
    else:
        run = f'[print(*r) for r in sqlite3.connect({str(file)!r}).execute("""{query}""")]'
        yield f"python3 -c {shlex.quote(f'import sqlite3; {run}')}"
    yield "vnsync sandbox --port 8080    # the same API on this machine, for your own experiments"
    yield "vnsync sync --help            # with a token of your own"
