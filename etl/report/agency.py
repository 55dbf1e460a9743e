"""What the demo shows: an agency's days, its warehouse, one number's way, and what to try next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from etl.domain.runs import RunResult
from etl.read.summary import AccountChanges, Period, TableSize
from etl.report.terminal.tables import Cell, Table
from etl.report.wording import counted, lasting, moment, thousands


@dataclass(frozen=True, kw_only=True)
class DemoDay:
    """A day of the demo: its run, and what that changed by account (empty on the first day, when all is new)."""

    day: int
    result: RunResult
    changes: Mapping[int, AccountChanges]


KINDS = ("added", "removed", "edited", "moved", "switched", "renamed")


def headline(days: Sequence[DemoDay], file: Path) -> str:
    """What was done, in one sentence."""
    numbers = sum(a.listed_numbers or 0 for a in days[-1].result.accounts)
    took = sum((d.result.finished_at - d.result.started_at).total_seconds() for d in days)
    agency = counted(len(days[-1].result.accounts), "customer")
    return (
        f"A made-up agency of {agency} with {counted(numbers, 'number')}, synced on {counted(len(days), 'day')}"
        f" into {file}, in {lasting(took)}."
    )


def days_table(days: Sequence[DemoDay]) -> Table:
    """One row for each day and account: how many numbers it listed, and what became of them."""
    rows = [row for day in days for row in _rows(day)]
    columns = ["day", "account", "name", "numbers", *KINDS]
    right = frozenset(columns) - {"day", "name"}
    return Table(columns, rows, right, title="What each day changed, in numbers", once=["day"])


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
    """One row for each table: what exists now, and the versions that ended."""
    rows: list[list[Cell]] = [[s.table, thousands(s.rows), thousands(s.ended)] for s in sizes]
    columns = ["table", "rows now", "ended versions"]
    return Table(
        columns, rows, frozenset(columns[1:]), title="What the warehouse holds (both together: <table>_history)"
    )


def campaigns_table(number: int, periods: Sequence[Period]) -> Table:
    """The campaigns that one number was in."""
    rows: list[list[Cell]] = [[p.phone, p.campaign, _shown(p.valid_from), _shown(p.valid_to)] for p in periods]
    columns = ["phone", "campaign", "from (UTC)", "to"]
    return Table(columns, rows, title=f"Where number {number} was, when (view number_campaign_periods)")


def _shown(instant: str | None) -> str:
    return "now" if instant is None else moment(datetime.fromisoformat(instant))


def next_commands(file: Path, number: int | None, *, sqlite_shell: bool) -> Iterator[str]:
    """Commands that look further, each to be run as it stands."""
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
