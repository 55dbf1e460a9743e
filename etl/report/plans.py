"""Result of a plan as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from etl.domain.causes import Failure, causes, others
from etl.domain.figures import duration
from etl.domain.runs import AccountResult, AccountStatus, failures
from etl.report import causes as words
from etl.report.outcomes import figures
from etl.report.terminal.event_lines import account_remarks
from etl.report.terminal.tables import Cell, Table
from etl.report.values import plain
from etl.report.wording import counted, named, thousands
from etl.sync.beat import points_a_day
from etl.sync.plan import Plan, PlannedAccount

FIGURES = frozenset({"account", "requests", "numbers", "added", "changed", "removed"})
WORDS = {AccountStatus.SUCCEEDED: "ok", AccountStatus.HELD: "held", AccountStatus.FAILED: "failed"}


def facts(found: Plan, *, new_warehouse: bool) -> dict[str, Any]:
    """The plan for JSON: for each account its row as `account_syncs` would have it, and its tables."""
    return {
        "exit_code": found.exit_code,
        "requests": found.requests,
        "points_left": found.points_left,
        "new_warehouse": new_warehouse,
        "accounts": [_account(a) for a in found.accounts],
    }


def _account(planned: PlannedAccount) -> dict[str, Any]:
    result = plain(planned.result)
    left_out = ("run_id", "changes", "started_at", "observed_at", "chain_digest")
    tables = {
        name: {"opened": t.opened, "closed": t.closed, "added": t.added, "changed": t.changed, "removed": t.removed}
        for name, t in planned.tables.items()
    }
    return {**{k: v for k, v in result.items() if k not in left_out}, "tables": tables}


def accounts_table(found: Plan) -> Table:
    """Table with one row for each account: its requests, and how many rows would be added, changed and removed."""
    rows: list[list[Cell]] = [
        [
            p.result.account_id,
            p.result.account_name,
            WORDS.get(p.result.status, p.result.status.value),
            thousands(p.requests),
            thousands(p.result.listed_numbers),
            *(thousands(sum(getattr(t, kind) for t in p.tables.values())) for kind in ("added", "changed", "removed")),
            _note(p.result),
        ]
        for p in found.accounts
    ]
    columns = ["account", "name", "plan", "requests", "numbers", "added", "changed", "removed", "note"]
    return Table(columns, rows, FIGURES, title="Rows that a sync would add, change and remove", apart=False)


def details_table(found: Plan) -> Table:
    """Table with one row for each account and table that would change."""
    rows: list[list[Cell]] = [
        [p.result.account_id, name, *figures(t)]
        for p in found.accounts
        for name, t in p.tables.items()
        if t.opened or t.closed
    ]
    return Table(
        ["account", "table", "added", "changed", "removed"],
        rows,
        FIGURES,
        title="Rows, table by table",
        once=["account"],
    )


def sentences(found: Plan, *, new_warehouse: bool) -> Iterator[str]:
    """Causes that would stop accounts, with their remedies, and the requests that the plan took."""
    yield from map(words.line, causes(_failures(found)))
    if not any(t.opened or t.closed for p in found.accounts for t in p.tables.values()) and not _failures(found):
        yield "Nothing would change."
    left = "" if found.points_left is None else f", {thousands(found.points_left)} points are left"
    yield f"{counted(found.requests, 'request')}, 1 point each{left}. Nothing was written."
    if new_warehouse:
        yield "There is no warehouse yet: a sync creates it."


def beat_facts(found: Plan, every: timedelta) -> dict[str, Any]:
    """What a resident sync on this beat costs, for JSON."""
    return {
        "every_seconds": every.total_seconds(),
        "points_a_sync": found.requests,
        "points_a_day": points_a_day(found.requests, every),
        "day_limit": found.day_limit,
    }


def beat_sentence(found: Plan, every: timedelta) -> str:
    """What a resident sync on this beat costs, in one sentence, and whether the day's points suffice."""
    cost = points_a_day(found.requests, every)
    of = "" if found.day_limit is None else f" of {thousands(found.day_limit)}"
    short = found.day_limit is not None and cost > found.day_limit
    enough = ": more than there are, so syncs are left out" if short else ""
    return (
        f"{counted(found.requests, 'point')} a sync: every {duration(every)} takes {thousands(cost)}{of} points a"
        f" day{enough}."
    )


def incomplete_because(found: Plan) -> str:
    """Cause why a sync would not succeed."""
    if stopped := causes(_failures(found)):
        first = max(stopped, key=lambda cause: len(cause.failures))
        return f"{words.who(first)} would be {first.status}: {first.error.rstrip('.')}{others(stopped)}"
    lacking = next(p.result for p in found.accounts if p.result.quarantined or p.result.suspects)
    return f"{named(lacking.account_id, lacking.account_name)} would be incomplete: {account_remarks(lacking)}"


def _failures(found: Plan) -> list[Failure]:
    """Failures of the accounts that a sync would not publish, with the status in the plan's words."""
    return [
        replace(failure, status="held" if failure.status == AccountStatus.HELD else "left as it is")
        for failure in failures(p.result for p in found.accounts)
    ]


def _note(result: AccountResult) -> str:
    if result.error:
        return "see below"
    return account_remarks(result)
