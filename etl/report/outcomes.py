"""Result of a run as tables and sentences, for `sync` and `demo`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etl.domain.causes import causes
from etl.domain.runs import AccountResult, AccountStatus, RunResult, TableChange, failures
from etl.report import causes as words
from etl.report.states import OTHER_VIEWER, approval, state
from etl.report.terminal.event_lines import account_remarks, run_verdict
from etl.report.terminal.tables import Cell, Table
from etl.report.values import plain, plain_but
from etl.report.wording import counted, named, printable, thousands

FIGURES = frozenset({"account", "numbers", "added", "changed", "removed"})


def facts(result: RunResult) -> dict[str, Any]:
    """The run for JSON; `failures`: each cause that stopped accounts, with their ids."""
    run = plain_but(result, "accounts", "stopped_by")
    stopped = words.facts(causes(failures(result.accounts)))
    return {**run, "published": result.published, "failures": stopped, "accounts": plain(result.accounts)}


def accounts_table(result: RunResult) -> Table:
    """Table with one row for each account: its status, count of numbers, changed rows, and remarks."""
    rows: list[list[Cell]] = [
        [
            a.account_id,
            a.account_name,
            a.status.value,
            thousands(a.listed_numbers),
            *figures(a.rows),
            _note(a),
        ]
        for a in result.accounts
    ]
    columns = ["account", "name", "status", "numbers", "added", "changed", "removed", "note"]
    return Table(columns, rows, FIGURES, title="Rows added, changed and removed", apart=False)


def figures(change: TableChange) -> list[str]:
    """Rows added, changed and removed, as three cells."""
    return [thousands(change.added), thousands(change.changed), thousands(change.removed)]


def details_table(result: RunResult) -> Table:
    """Table with one row for each account and table with changes."""
    rows: list[list[Cell]] = [
        [a.account_id, table, *figures(change)]
        for a in result.accounts
        for table, change in a.changes.items()
        if change.opened or change.closed
    ]
    columns = ["account", "table", "added", "changed", "removed"]
    return Table(columns, rows, FIGURES, title="Rows, table by table", once=["account"])


def unpublished(result: RunResult) -> Iterator[str]:
    """One line for each cause that stopped accounts, with its remedy."""
    yield from map(words.line, causes(failures(result.accounts)))


def closing_line(result: RunResult) -> str:
    """Summary of the run in one sentence, with its id."""
    return f"Run {result.run_id} {printable(run_verdict(result))}."


def incomplete_because(result: RunResult) -> str:
    """Cause why a run is incomplete although all its accounts were published: quarantined records or suspects."""
    lacking = [a for a in result.accounts if a.quarantined or a.suspects]
    if not lacking:
        return f"the run ended {result.status.value}"
    first = lacking[0]
    parts = [
        (first.quarantined, "quarantined (see the table quarantine)"),
        (first.suspects, _suspects(first)),
    ]
    problems = ", ".join(f"{thousands(n)} {words}" for n, words in parts if n)
    more = f"; and {counted(len(lacking) - 1, 'account')} more" if len(lacking) > 1 else ""
    return f"{named(first.account_id, first.account_name)} is incomplete: {problems}{more}"


def _suspects(account: AccountResult) -> str:
    if not account.viewer_changed:
        return "not proven gone, left open"
    return f"{OTHER_VIEWER}, left open (check its rights; if they are gone: `{approval(account.account_id)}`)"


def published_line(result: RunResult) -> str:
    """Count of the published accounts in one sentence."""
    if not result.published:
        return "Nothing was published."
    return f"{thousands(result.published)} of {counted(len(result.accounts), 'account')} published."


def published_before(result: RunResult) -> str:
    """Count of the published accounts of a run that an error ended, in one sentence; empty if there are none."""
    done = sum(a.status is AccountStatus.SUCCEEDED for a in result.accounts)
    return f"{counted(done, 'account')} of this run {'is' if done == 1 else 'are'} published." if done else ""


def _note(account: AccountResult) -> str:
    """Remarks about a published account; the cause why one was not published is below the table, with the remedy.

    A known state that an earlier run reported is a remark, too: it has no line below the table.
    """
    if account.unreachable is not None and account.is_already_reported:
        return state(account.unreachable)
    if account.status is not AccountStatus.SUCCEEDED:
        return "see below"
    return account_remarks(account)
