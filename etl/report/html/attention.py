"""Items of the report that need attention, worst first, with their remedies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from msgspec import Struct

from etl.domain.causes import Cause
from etl.domain.runs import RunStatus
from etl.read.overview import DriftSummary, Rejected
from etl.read.status import UNPUBLISHED, AccountState, LastRun, Status, stale
from etl.report.causes import listed, who
from etl.report.freshness import RUN_ADVICE
from etl.report.html.causes import NumberedCauses, anchor
from etl.report.html.markup import Element, element, safe_text
from etl.report.html.parts import chip, code, prose, remark, section
from etl.report.states import approval, state
from etl.report.wording import counted, lasting, moment, quoted, thousands

SHOWN = 8
"""Upper limit of the accounts or reasons under each heading."""
LONG_GAP = 2 * 86_400
"""Seconds without an observation above which the report warns that changes cannot be dated more closely."""
_STATES = {"failed": 0, "held": 1}
_LEVELS = {"bad": "problem", "warn": "warning", "note": "note"}
"""Each level in order, with its word: no colour tells anything alone."""


class Findings(Protocol):
    """What items are made of: the overview of the warehouse, or that of one account."""

    @property
    def status(self) -> Status:
        """Accounts and the last run."""

    @property
    def rejected(self) -> Sequence[Rejected]:
        """What is in quarantine."""

    @property
    def drift(self) -> Sequence[DriftSummary]:
        """Differences between the source and its documentation."""

    @property
    def drift_kinds_known(self) -> int:
        """Count of all differences."""


class Case(Struct, frozen=True):
    """An account or reason that an item concerns, in one sentence; `cause`: the number by which others refer to it."""

    text: str
    cause: int | None = None


class Item(Struct, frozen=True, kw_only=True):
    """A problem or note. `level`: bad, warn or note; `remedy`: the fix, with its `command`.

    `cases`: accounts or reasons that it concerns; `more`: count of the cases that are not shown.
    """

    level: str
    title: str
    remedy: str
    command: str | None = None
    cases: Sequence[Case] = ()
    more: int = 0


def items(seen: Findings, max_age: timedelta) -> list[Item]:
    """All items: failures before incomplete data, notes last; empty if there is no problem."""
    accounts = [a for a in seen.status.accounts if not a.is_unreachable]
    found = [*_unpublished(accounts, seen.status.last_run), *_late(accounts, max_age), *_incomplete(seen, accounts)]
    found += [*_unreachable(seen), *_source(seen)]
    return sorted(found, key=lambda item: [*_LEVELS].index(item.level))


def rank(account: AccountState, late: frozenset[int]) -> tuple[int, int]:
    """Sort key of accounts: those that need attention first, then the largest; unreachable ones are at the end."""
    counts = (account.quarantined, account.suspects, account.unaccounted)
    problems = [
        account.status in _STATES,
        account.observed_at is None,
        account.account_id in late,
        *(bool(count) for count in counts),
    ]
    worst = problems.index(True) if True in problems else len(problems)
    return len(problems) + 1 if account.is_unreachable else worst, -(account.listed_numbers or 0)


def attention_section(found: Sequence[Item]) -> Element:
    """Section with all items."""
    body = element("ul", map(_shown, found), class_="items") if found else remark("Nothing needs attention.")
    return section("attention", "What needs attention", body)


def _shown(item: Item) -> Element:
    cases = [element("li", prose(c.text, 600), id=anchor(c.cause) if c.cause else None) for c in item.cases]
    if item.more:
        cases.append(element("li", f"and {thousands(item.more)} more"))
    remedy = [item.remedy, element("br") if item.command else None]
    command = code(item.command) if item.command else None
    return element(
        "li",
        element("h3", item.title, " ", chip(_LEVELS[item.level], item.level)),
        element("p", remedy, command),
        element("ul", cases, class_="small") if cases else None,
        class_=item.level,
    )


def _cases(accounts: Sequence[AccountState], words: Sequence[str]) -> tuple[list[Case], int]:
    """A case for each different sentence, with all accounts that it is true of; and the count of the other cases."""
    same: dict[str, list[AccountState]] = {}
    for account, sentence in zip(accounts, words, strict=True):
        same.setdefault(sentence, []).append(account)
    cases = [Case(f"{_accounts(several)}: {sentence}") for sentence, several in same.items()]
    return cases[:SHOWN], max(0, len(cases) - SHOWN)


def _accounts(accounts: Sequence[AccountState]) -> str:
    if len(accounts) > 1:
        return f"{counted(len(accounts), 'account')} ({listed([a.account_id for a in accounts])})"
    (account,) = accounts
    return f"{account.account_id}{f' {quoted(account.account_name)}' if account.account_name is not None else ''}"


def _item(
    level: str,
    title: str,
    accounts: Sequence[AccountState],
    words: Sequence[str],
    remedy: str,
    command: str | None = None,
) -> Item:
    cases, more = _cases(accounts, words)
    return Item(level=level, title=title, remedy=remedy, command=command, cases=cases, more=more)


# -- failures


def _unpublished(accounts: Sequence[AccountState], run: LastRun | None) -> Iterator[Item]:
    stopped = NumberedCauses.of(accounts)
    yield from _last_run(run, stopped)
    failed = [a for a in accounts if a.status == "failed"]
    if failed:
        yield Item(
            level="bad",
            title=f"{counted(len(failed), 'account')} failed",
            remedy="Data that was published before stays. To see whether the cause persists:",
            command="vnsync doctor",
            cases=[_cause(number, cause) for number, cause in stopped.of_status("failed")],
            more=stopped.untold["failed"],
        )
    held = [a for a in accounts if a.status == "held"]
    if held:
        told = approval(held[0].account_id) in (held[0].error or "")
        yield Item(
            level="bad",
            title=f"{counted(len(held), 'account')} held: too many numbers would be closed at once",
            remedy="Nothing of this sync was published. If the numbers are really gone, approve the close"
            + ("." if told else ":"),
            command=None if told else approval(held[0].account_id),
            cases=[_cause(number, cause) for number, cause in stopped.of_status("held")],
            more=stopped.untold["held"],
        )


def _last_run(run: LastRun | None, stopped: NumberedCauses) -> Iterator[Item]:
    """The last run, unless it succeeded, or failed by a cause that is told of its accounts."""
    if run is None:
        yield Item(level="bad", title="Nothing was ever synced", remedy="Start with:", command="vnsync sync")
    elif run.status == RunStatus.RUNNING:
        title = f"A run has been in progress since {moment(run.started_at)} UTC"
        yield Item(level="note", title=title, remedy=RUN_ADVICE[run.status])
    elif run.status in (RunStatus.FAILED, RunStatus.INTERRUPTED) and not (run.error and stopped.within(run.error)):
        code = "" if run.exit_code is None else f" (exit {run.exit_code})"
        title = f"The last run {'failed' if run.status == RunStatus.FAILED else 'was interrupted'}{code}"
        cases = [Case(run.error)] if run.error else []
        yield Item(level="bad", title=title, remedy=RUN_ADVICE[run.status], cases=cases)


def _cause(number: int, cause: Cause) -> Case:
    """A cause with the accounts that it stopped, in one line for any count of accounts."""
    first = cause.failures[0]
    name = "" if first.account_name is None else f" {quoted(first.account_name)}"
    several = f"{who(cause)} ({listed(cause.account_ids)})"
    subject = several if len(cause.failures) > 1 else f"{first.account_id}{name}"
    return Case(f"Cause {number}. {subject}: {cause.error}", number)


def _late(accounts: Sequence[AccountState], max_age: timedelta) -> Iterator[Item]:
    """Accounts whose data is old although their last sync did not fail: what failed has its own item."""
    found = [a for a in stale(accounts, max_age) if a.status not in UNPUBLISHED]
    late = sorted(found, key=lambda a: -(a.age_seconds or float("inf")))
    if late:
        asked = lasting(max_age.total_seconds())
        title = f"{counted(len(late), 'account')} not observed within {asked}"
        ages = ["never observed" if a.age_seconds is None else f"{lasting(a.age_seconds)} ago" for a in late]
        yield _item("warn", title, late, ages, "Check that the schedule still runs, then:", "vnsync sync")


def _unreachable(seen: Findings) -> Iterator[Item]:
    left = [a for a in seen.status.accounts if a.is_unreachable]
    if left:
        title = f"{counted(len(left), 'account')} cannot be listed for a known reason"
        remedy = "Nothing needs to be done if the customer has left or is locked: its rows stay as they were."
        cases = [f"{state(a.status)} since {moment(a.unreachable_since)} UTC" for a in left]
        yield _item("note", title, left, cases, remedy)


# -- incomplete data


def _incomplete(seen: Findings, accounts: Sequence[AccountState]) -> Iterator[Item]:
    yield from _quarantine(seen)
    suspects = _most(accounts, "suspects")
    if suspects:
        title = f"{_sum(suspects, 'suspects', 'number')} not listed, but not proven gone"
        remedy = (
            "They stay open, and the next sync asks for them again. If they are really gone (for example, because "
            "another user of the customer took over), approve the close:"
        )
        first = suspects[0].account_id
        yield _item("warn", title, suspects, [thousands(a.suspects) for a in suspects], remedy, approval(first))
    missing = _most(accounts, "unaccounted")
    if missing:
        title = f"{_sum(missing, 'unaccounted', 'number')} counted by the source but not sent"
        remedy = (
            "The source's total differs from its list. The numbers that it sent are published; if the difference "
            "persists, ask the vendor's support."
        )
        yield _item("warn", title, missing, [thousands(a.unaccounted) for a in missing], remedy)
    gaps = sorted(
        (a for a in accounts if (a.longest_gap_seconds or 0) > LONG_GAP), key=lambda a: -(a.longest_gap_seconds or 0)
    )
    if gaps:
        title = f"{counted(len(gaps), 'account')} with more than {lasting(LONG_GAP)} between observations"
        remedy = "Within the last 30 days. A change in such a gap has the time of the observation after the gap."
        yield _item("note", title, gaps, [f"longest {lasting(a.longest_gap_seconds or 0)}" for a in gaps], remedy)


def _quarantine(seen: Findings) -> Iterator[Item]:
    records = sum(a.quarantined for a in seen.status.accounts)
    if records:
        reasons = [
            Case(
                f"{safe_text(r.path)}: {safe_text(r.reason, 200)}"
                f" ({counted(r.records, 'record')}, {counted(r.accounts, 'account')})"
            )
            for r in seen.rejected
        ]
        yield Item(
            level="warn",
            title=f"{counted(records, 'record')} in quarantine",
            remedy="They could not be used and are kept as received; earlier values stay. To see them:",
            command="select account_id, virtual_number_id, path, reason, record from quarantine order by run_id desc",
            cases=reasons[:SHOWN],
            more=max(0, len(reasons) - SHOWN),
        )


def _most(accounts: Sequence[AccountState], column: str) -> list[AccountState]:
    return sorted((a for a in accounts if getattr(a, column)), key=lambda a: -int(getattr(a, column)))


def _sum(accounts: Sequence[AccountState], column: str, noun: str) -> str:
    return counted(sum(int(getattr(a, column)) for a in accounts), noun)


def _fields(count: int) -> str:
    return counted(count, "field or value", "fields or values")


def _source(seen: Findings) -> Iterator[Item]:
    if seen.drift:
        cases = [
            Case(
                f"{safe_text(d.path)}: {safe_text(d.kind.replace('_', ' '))}{f' {quoted(d.value)}' if d.value else ''}"
                f", {counted(d.accounts, 'account')}, first {moment(d.first_seen)} UTC"
            )
            for d in seen.drift[:SHOWN]
        ]
        yield Item(
            level="note",
            title=f"The source differs from its documentation in {_fields(seen.drift_kinds_known)}",
            remedy="No data is lost: unknown fields are kept in the column extra, unknown values as text. To see all:",
            command="select * from source_drift",
            cases=cases,
            more=seen.drift_kinds_known - len(cases),
        )
