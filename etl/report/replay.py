"""Result of a replay as tables, sentences and plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etl.replay.compare import TableDifference
from etl.replay.outcome import AccountReplay, Mismatch, Replayed
from etl.replay.restate import Restated
from etl.report.terminal.tables import Cell, Table
from etl.report.wording import counted, moment, thousands

SHORT_DIGEST = 16


def facts(done: Replayed) -> dict[str, Any]:
    """The replay as plain values for JSON."""
    error = done.error()
    return {
        "exit_code": error.exit_code if error else 0,
        "runs": done.runs,
        "skipped": done.skipped,
        "accounts": [done.accounts[i] for i in sorted(done.accounts)],
        "mismatches": [done.mismatches[i] for i in sorted(done.mismatches)],
    }


def accounts_table(done: Replayed) -> Table:
    """Table with one row for each account: its replayed syncs, its last observation, and whether its chain is equal."""
    rows: list[list[Cell]] = [
        [a.account_id, thousands(a.published), thousands(a.unpublished), moment(a.observed_at), *_head(a)]
        for _, a in sorted(done.accounts.items())
    ]
    columns = ["account", "published", "not published", "as of", "head", "archived"]
    return Table(columns, rows, frozenset({"account", "published", "not published"}))


def _head(account: AccountReplay) -> tuple[str, str]:
    """(head of the chain, head in the archive); "the same" instead of the second if they are equal."""
    if account.chain_digest is None or account.archived_digest is None:
        return "-", "no chain"
    same = account.chain_digest == account.archived_digest
    return account.chain_digest[:SHORT_DIGEST], "the same" if same else account.archived_digest[:SHORT_DIGEST]


def mismatches_table(done: Replayed) -> Table:
    """Table with the first mismatch of each account."""
    rows: list[list[Cell]] = [
        [d.run_id, d.account_id, d.table, *_both(d), d.what] for _, d in sorted(done.mismatches.items())
    ]
    return Table(
        ["run", "account", "table", "expected", "found", "difference"], rows, frozenset({"account"}), "Differences"
    )


def _both(mismatch: Mismatch) -> tuple[str | None, str | None]:
    """(expected, found) of a mismatch that compares two values; (None, None) for any other."""
    expected, found = mismatch.shown
    return (expected, found) if mismatch.compares else (None, None)


def closing_line(done: Replayed) -> str:
    """Summary of the replay in one sentence."""
    left = f", {thousands(len(done.skipped))} left out (already there, or without a result)" if done.skipped else ""
    ended = "the result differs from the archive" if done.mismatches else "the result is the same"
    return f"{counted(done.runs, 'run')} replayed{left}: {ended}."


def compared_line(found: Restated) -> str:
    """Summary of the comparison in one sentence."""
    accounts = len({t.account_id for t in found.tables})
    same = counted(sum(t.same for t in found.tables), "version")
    left = f"; {counted(len(found.failed), 'account')} not replayed, and left out" if found.failed else ""
    ended = f"differences in {counted(len(found.differing), 'table')}" if found.differing else "no differences"
    if erased := sum(t.erased for t in found.tables):
        ended += f" but {counted(erased, 'version')} of numbers that were erased from the warehouse"
    return f"{counted(accounts, 'account')} compared over the time that both cover, {same} the same: {ended}{left}."


def difference_table(tables: Sequence[TableDifference]) -> Table:
    """Table with one row for each account and table."""
    rows: list[list[Cell]] = [
        [t.account_id, t.table, *map(thousands, (t.same, t.only_warehouse, t.only_replay, t.erased)), t.first_key]
        for t in tables
    ]
    columns = ["account", "table", "the same", "warehouse only", "replay only", "erased", "first key"]
    return Table(columns, rows, frozenset(columns) - {"table"})
