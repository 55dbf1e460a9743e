"""Freshness of the warehouse, as a table and as sentences with remedies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from etl.domain.causes import causes, others
from etl.domain.runs import AccountStatus
from etl.read.status import UNPUBLISHED as STATES
from etl.read.status import AccountState, LastRun, Status
from etl.report import causes as words
from etl.report.states import OTHER_VIEWER, approval, state
from etl.report.terminal.tables import Cell, Table
from etl.report.values import plain_but
from etl.report.wording import counted, lasting, moment, named, printable, thousands

FIGURES = frozenset({"account", "age", "numbers"})

UNPUBLISHED = {
    "held": "Data that was published before stays.",
    "failed": "Data that was published before stays; `vnsync doctor` shows whether the cause persists.",
}
"""Consequence of a last sync that ended so; the error itself has its remedy."""
RUN_ADVICE = {
    "running": "It is in progress. If its process was killed, the next `vnsync sync` corrects this status.",
    "interrupted": "It was stopped; nothing was half-published. Run `vnsync sync` again.",
    "failed": "Run `vnsync doctor`, then `vnsync sync`.",
}


def accounts_table(accounts: Sequence[AccountState], stale_ids: frozenset[int]) -> Table:
    """Table with one row for each account: its last observation, the status of its last sync, and remarks."""
    rows: list[list[Cell]] = [
        [
            a.account_id,
            a.account_name,
            moment(a.observed_at),
            "-" if a.age_seconds is None else lasting(a.age_seconds),
            a.status,
            thousands(a.listed_numbers),
            ", ".join(_remarks(a, stale=a.account_id in stale_ids)),
        ]
        for a in accounts
    ]
    return Table(["account", "name", "observed (UTC)", "age", "last sync", "numbers", "note"], rows, FIGURES)


def facts(found: Status) -> dict[str, Any]:
    """The status for JSON; `failures`: each cause that kept last syncs from being published, with its accounts."""
    return {**plain_but(found), "failures": words.facts(causes(words.standing(found.accounts)))}


def advice(accounts: Sequence[AccountState]) -> Iterator[str]:
    """One line for each cause that kept last syncs from being published, and for numbers that a viewer cannot see."""
    for cause in causes(words.standing(accounts)):
        yield f"{words.line(cause)} {UNPUBLISHED[cause.status]}"
    for account in accounts:
        if account.viewer_changed and account.suspects:
            yield (
                f"{named(account.account_id, account.account_name)}: {counted(account.suspects, 'number')}"
                f" {OTHER_VIEWER}, left open. If they are gone, run `{approval(account.account_id)}`."
            )


def doubts(accounts: Sequence[AccountState]) -> Iterator[str]:
    """One line for each account with records or elements in quarantine, as the data of its numbers may be old."""
    for account in accounts:
        if account.quarantined:
            records = f"{counted(account.quarantined, 'record or part of one', 'records or parts of records')}"
            yield (
                f"{named(account.account_id, account.account_name)}: {records} could not be used at the last"
                " observation (table quarantine); the data of these numbers may be older than that."
            )


def run_line(run: LastRun, accounts: Sequence[AccountState]) -> str:
    """The last run in one or two sentences; errors of single accounts are left to `advice`."""
    ended = f"finished {moment(run.finished_at)} UTC" if run.finished_at else f"started {moment(run.started_at)} UTC"
    code = "" if run.exit_code is None else f", exit {run.exit_code}"
    whole = run.status in ("failed", "interrupted") and run.error
    reason = f": {printable(str(run.error)).rstrip('.')}" if whole else ""
    result = RUN_ADVICE.get(run.status) or _published(run, accounts)
    return f"Last run {run.run_id} {run.status}, {ended}{code}{reason}. {result}".rstrip()


def _published(run: LastRun, accounts: Sequence[AccountState]) -> str:
    """Counts of the run's accounts by their end: `1 of 4 accounts published; 3 held (52, 53, 54).`"""
    tried = [a for a in accounts if a.last_run_id == run.run_id]
    published = [a for a in tried if a.status == AccountStatus.SUCCEEDED]
    groups = [
        *((status, [a for a in tried if a.status == status]) for status in STATES),
        ("unreachable", [a for a in tried if a.is_unreachable]),
        ("published in part", [a for a in published if a.quarantined or a.suspects]),
    ]
    others = [f"{thousands(len(g))} {name} ({words.listed([a.account_id for a in g])})" for name, g in groups if g]
    done = f"{thousands(len(published))} of {counted(len(tried), 'account')} published"
    return f"{'; '.join([done, *others])}." if others else ""


def failure_sentence(found: Status) -> tuple[str, str]:
    """(cause, remedy) of the last failure: of the cause that stopped most accounts, or of the run itself."""
    stopped = causes(words.standing(found.accounts))
    advice = "`vnsync status` shows every account, `vnsync doctor` whether the cause persists."
    if not stopped:
        run = found.last_run
        return f"the last run failed: {run.error if run and run.error else 'no reason was recorded'}", advice
    worst = max(stopped, key=lambda cause: len(cause.failures))
    return f"{words.who(worst)} {worst.status}: {worst.error.rstrip('.')}{others(stopped)}", advice


def _remarks(account: AccountState, *, stale: bool) -> Iterator[str]:
    if account.is_unreachable:
        yield f"{state(account.status)} since {moment(account.unreachable_since)}, its rows stay"
    elif account.observed_at is None:
        yield "never observed"
    elif stale:
        yield "older than --max-age"
    counts = [
        (account.quarantined, "quarantined"),
        (account.suspects, "not proven gone"),
        (account.unaccounted, "not sent by the source"),
    ]
    yield from (f"{thousands(n)} {what}" for n, what in counts if n)
    gap = account.longest_gap_seconds
    if gap is not None and gap > 2 * 86_400 and not account.is_unreachable:
        yield f"longest gap {lasting(gap)}"


def stale_sentence(late: Sequence[AccountState], asked: float) -> str:
    """The accounts whose data is older than `asked` seconds, in one sentence."""
    old, never = [a for a in late if a.observed_at], [a for a in late if not a.observed_at]
    groups = ((old, f"last synced more than {lasting(asked)} ago"), (never, "never synced"))
    return "; ".join(_were(accounts, state) for accounts, state in groups if accounts)


def _were(accounts: Sequence[AccountState], state: str) -> str:
    was, ids = "was" if len(accounts) == 1 else "were", words.listed([a.account_id for a in accounts])
    return f"{counted(len(accounts), 'account')} {was} {state}: {ids}"
