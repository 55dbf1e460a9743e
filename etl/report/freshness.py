"""The warehouse's freshness, as a table and as sentences that say what to do."""

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
    "held": "What was published before stays.",
    "failed": "What was published before stays; `vnsync doctor` shows whether the cause persists.",
}
"""What it means that an account's last sync ended so; the error itself brings its remedy."""
RUN_ADVICE = {
    "running": "It is under way, or its process was killed; the next `vnsync sync` settles that.",
    "interrupted": "It was stopped; nothing was half-published. Run `vnsync sync` again.",
    "failed": "Run `vnsync doctor`, then `vnsync sync`.",
}


def accounts_table(accounts: Sequence[AccountState], stale_ids: frozenset[int]) -> Table:
    """One row for each account: its last observation, how the last sync ended, and what to know about it."""
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
    """The status for machines; `failures`: each cause that kept last syncs from being published, with its accounts."""
    return {**plain_but(found), "failures": words.facts(causes(words.standing(found.accounts)))}


def advice(accounts: Sequence[AccountState]) -> Iterator[str]:
    """For each cause that kept last syncs from being published: which accounts, what to do, and what that means."""
    for cause in causes(words.standing(accounts)):
        yield f"{words.line(cause)} {UNPUBLISHED[cause.status]}"
    for account in accounts:
        if account.viewer_changed and account.suspects:
            yield (
                f"{named(account.account_id, account.account_name)}: {counted(account.suspects, 'number')}"
                f" {OTHER_VIEWER}, left open. If they are gone, run `{approval(account.account_id)}`."
            )


def doubts(accounts: Sequence[AccountState]) -> Iterator[str]:
    """For each account of which records or elements are in quarantine: what that means for what is shown."""
    for account in accounts:
        if account.quarantined:
            what = f"{counted(account.quarantined, 'record or part of one', 'records or parts of records')}"
            yield (
                f"{named(account.account_id, account.account_name)}: {what} could not be used at the last observation"
                " (table quarantine); what is shown of these numbers may be older than that."
            )


def run_line(run: LastRun, accounts: Sequence[AccountState]) -> str:
    """The last run in one or two sentences; what stopped single accounts is told with them."""
    ended = f"finished {moment(run.finished_at)} UTC" if run.finished_at else f"started {moment(run.started_at)} UTC"
    code = "" if run.exit_code is None else f", exit {run.exit_code}"
    whole = run.status in ("failed", "interrupted") and run.error
    reason = f": {printable(str(run.error)).rstrip('.')}" if whole else ""
    came_to = RUN_ADVICE.get(run.status) or _published(run, accounts)
    return f"Last run {run.run_id} {run.status}, {ended}{code}{reason}. {came_to}".rstrip()


def _published(run: LastRun, accounts: Sequence[AccountState]) -> str:
    """What became of the accounts of the run: `1 of 4 accounts published; 3 held (52, 53, 54).`"""
    tried = [a for a in accounts if a.last_run_id == run.run_id]
    published = [a for a in tried if a.status == AccountStatus.SUCCEEDED]
    groups = [
        *((status, [a for a in tried if a.status == status]) for status in STATES),
        ("unreachable", [a for a in tried if a.is_unreachable]),
        ("published in part", [a for a in published if a.quarantined or a.suspects]),
    ]
    told = [f"{thousands(len(g))} {what} ({words.listed([a.account_id for a in g])})" for what, g in groups if g]
    done = f"{thousands(len(published))} of {counted(len(tried), 'account')} published"
    return f"{'; '.join([done, *told])}." if told else ""


def failure_sentence(found: Status) -> tuple[str, str]:
    """What failed last, and what to do: the cause that stopped most accounts, or the run's own."""
    stopped = causes(words.standing(found.accounts))
    advice = "`vnsync status` shows every account, `vnsync doctor` whether the cause persists."
    if not stopped:
        run = found.last_run
        return f"the last run failed: {run.error if run and run.error else 'no reason is on record'}", advice
    worst = max(stopped, key=lambda cause: len(cause.failures))
    return f"{words.who(worst)} {worst.status}: {worst.error.rstrip('.')}{others(stopped)}", advice


def _remarks(account: AccountState, *, stale: bool) -> Iterator[str]:
    if account.is_unreachable:
        yield f"{state(account.status)} since {moment(account.unreachable_since)}, its rows stay"
    elif account.observed_at is None:
        yield "never observed"
    elif stale:
        yield "older than asked"
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
    """Which accounts are older than `asked` seconds, in one sentence."""
    old, never = [a for a in late if a.observed_at], [a for a in late if not a.observed_at]
    told = ((old, f"last synced more than {lasting(asked)} ago"), (never, "never synced"))
    return "; ".join(_were(accounts, what) for accounts, what in told if accounts)


def _were(accounts: Sequence[AccountState], what: str) -> str:
    was, ids = "was" if len(accounts) == 1 else "were", words.listed([a.account_id for a in accounts])
    return f"{counted(len(accounts), 'account')} {was} {what}: {ids}"
