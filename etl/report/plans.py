"""What a run would do, as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etl.domain.runs import AccountResult, AccountStatus
from etl.planning import Plan, PlannedAccount
from etl.report.lines import account_remarks
from etl.report.tables import Cell, Table
from etl.report.values import plain
from etl.report.wording import counted, named, printable, thousands

FIGURES = frozenset({"account", "requests", "listed", "added", "changed", "removed"})
WORDS = {AccountStatus.SUCCEEDED: "ok", AccountStatus.HELD: "held", AccountStatus.FAILED: "failed"}


def facts(found: Plan, *, new_warehouse: bool) -> dict[str, Any]:
    """The plan for machines: an account's row as `account_syncs` would have it, and its tables."""
    return {
        "exit_code": found.exit_code,
        "requests": found.requests,
        "points_left": found.points_left,
        "new_warehouse": new_warehouse,
        "accounts": [_account(a) for a in found.accounts],
    }


def _account(planned: PlannedAccount) -> dict[str, Any]:
    told = plain(planned.result)
    left_out = ("run_id", "changes", "started_at", "observed_at", "chain_digest")
    tables = {
        name: {"opened": t.opened, "closed": t.closed, "added": t.added, "changed": t.changed, "removed": t.removed}
        for name, t in planned.tables.items()
    }
    return {**{k: v for k, v in told.items() if k not in left_out}, "tables": tables}


def accounts_table(found: Plan) -> Table:
    """One row for each account: what it takes, and how many rows would come, change and go."""
    rows: list[list[Cell]] = [
        [
            p.result.account_id,
            p.result.account_name,
            WORDS.get(p.result.status, p.result.status.value),
            thousands(p.requests),
            thousands(p.result.listed_numbers),
            thousands(sum(t.added for t in p.tables.values())),
            thousands(sum(t.changed for t in p.tables.values())),
            thousands(sum(t.removed for t in p.tables.values())),
            _note(p.result),
        ]
        for p in found.accounts
    ]
    columns = ["account", "name", "plan", "requests", "listed", "added", "changed", "removed", "note"]
    return Table(columns, rows, FIGURES)


def details_table(found: Plan) -> Table:
    """One row for each account and table in which something would change."""
    rows: list[list[Cell]] = [
        [p.result.account_id, name, thousands(t.added), thousands(t.changed), thousands(t.removed)]
        for p in found.accounts
        for name, t in p.tables.items()
        if t.opened or t.closed
    ]
    return Table(["account", "table", "added", "changed", "removed"], rows, FIGURES, title="Table by table")


def sentences(found: Plan, *, new_warehouse: bool) -> Iterator[str]:
    """What the plan comes to."""
    left = "" if found.points_left is None else f", {thousands(found.points_left)} points are left"
    yield f"{counted(found.requests, 'request')}, a point each{left}. Nothing was written."
    if new_warehouse:
        yield "There is no warehouse yet: a sync makes it."


def incomplete_because(found: Plan) -> str:
    """Why a run would not end well."""
    for planned in found.accounts:
        result = planned.result
        if result.error:
            return f"{named(result.account_id, result.account_name)} would be {_word(result)}: {result.error}"
    lacking = next(p.result for p in found.accounts if p.result.quarantined or p.result.suspects)
    return f"{named(lacking.account_id, lacking.account_name)} would not be whole: {account_remarks(lacking)}"


def _word(result: AccountResult) -> str:
    return "held" if result.status is AccountStatus.HELD else "left as it is"


def _note(result: AccountResult) -> str:
    if result.error:
        return printable(result.error)
    unchanged = "" if result.rows_opened or result.rows_closed else "nothing to change"
    return ", ".join(filter(None, [unchanged, account_remarks(result)]))
