"""Results of a verification as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from etl.domain.verification import Head, Problem, Verdict
from etl.report.terminal.tables import Cell, Table
from etl.report.values import iso, plain
from etl.report.wording import counted, moment, printable, thousands

FIGURES = frozenset({"account", "syncs", "versions", "erased"})
MOST_SHOWN = 50
"""Upper limit of the problems in the table; `--output json` has more."""


def for_machines(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain values for JSON, with ISO 8601 instants; the text of a damaged instant is escaped."""
    values: dict[str, Any] = plain(verdict)
    for account in values["accounts"]:
        for name in ("observed_at", "last_erased_at"):
            account[name] = _instant(account[name])
    return values


def _instant(stored: str | None) -> str | None:
    try:
        return stored and iso(datetime.fromisoformat(stored).replace(tzinfo=UTC))
    except ValueError:
        return printable(stored or "")


def accounts_table(verdict: Verdict) -> Table:
    """Table with one row for each account's chain."""
    rows: list[list[Cell]] = [
        [a.account_id, *map(thousands, (a.syncs, a.versions, a.erased)), _to_the_second(a.observed_at), a.chain_digest]
        for a in verdict.accounts
    ]
    return Table(["account", "syncs", "versions", "erased", "observed (UTC)", "head"], rows, FIGURES)


def _to_the_second(stored: str | None) -> str:
    try:
        return moment(datetime.fromisoformat(stored)) if stored else ""
    except ValueError:
        return printable(stored or "")


def problems_table(verdict: Verdict) -> Table:
    """Table with one row for each of the first problems."""
    rows: list[list[Cell]] = [
        [p.table, p.key, _id(p.account_id), _id(p.run_id), p.what] for p in verdict.problems[:MOST_SHOWN]
    ]
    return Table(["table", "key", "account", "run", "problem"], rows)


def remarks(verdict: Verdict) -> Iterator[str]:
    """Sentences about erasures, about the position of the kept heads, and the notes of the verdict."""
    for account in verdict.accounts:
        if account.erased:
            erased = counted(account.erased, "version")
            when = _to_the_second(account.last_erased_at)
            yield f"Account {account.account_id}: {erased} of numbers erased, the last at {when} UTC."
    yield from (_position(head) for head in verdict.heads if head.syncs_since is not None)
    yield from map(printable, verdict.notes)


def _position(head: Head) -> str:
    where = "the last" if not head.syncs_since else f"followed by {counted(head.syncs_since, 'sync')}"
    return f"Head {head.digest[:12]}... is in the chain of account {head.account_id}, {where}."


def verdict_sentence(verdict: Verdict) -> str:
    """The verdict in words, without a full stop at its end."""
    if verdict.ok:
        without_head = verdict.accounts and not verdict.heads
        return "OK: no problems" + (
            ". (Without --head, a completely rewritten history would also pass.)" if without_head else ""
        )
    count = verdict.problem_count
    more = f", {thousands(MOST_SHOWN)} of them shown" if count > MOST_SHOWN else ""
    return f"{counted(count, 'problem')} found{more}"


def problem_line(problem: Problem) -> str:
    """A problem in one line: table, key, account and run, as far as they are known, and the problem itself."""
    row = [problem.table or "", problem.key or ""]
    ids = [f"{word} {value}" for word, value in (("account", problem.account_id), ("run", problem.run_id)) if value]
    where = " ".join(filter(None, [*row, f"({', '.join(ids)})" if ids else ""]))
    return printable(f"{where}: {problem.what}" if where else problem.what)


def _id(value: int | str | None) -> str:
    return "" if value is None else str(value)
