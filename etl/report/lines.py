"""Each event as one line: a sentence for people, a name and fields for machines."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any

from etl.domain import events
from etl.domain.runs import AccountResult, AccountStatus, RunResult
from etl.report.states import OTHER_VIEWER
from etl.report.values import plain_but
from etl.report.wording import counted, lasting, named, printable, thousands


class EventName(StrEnum):
    """The names under which events appear in JSON logs: part of what log queries rely on."""

    RUN_STARTED = "run_started"
    ACCOUNT_STARTED = "account_started"
    NUMBERS_READ = "numbers_read"
    WAITING = "waiting"
    PUBLISHING = "publishing"
    ACCOUNT_FINISHED = "account_finished"
    NOTICE = "notice"
    RUN_FINISHED = "run_finished"
    ERROR = "error"


LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}
"""Log levels by the names that the setting takes."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the log; `message` is safe to print."""

    level: int
    event: EventName
    message: str
    run_id: int | None = None
    account_id: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


class Narrator:
    """Turns events into lines; remembers the run's id and the accounts' names, which later events leave out."""

    def __init__(self) -> None:
        self.run_id: int | None = None
        self._names: dict[int, str | None] = {}

    def line(self, event: events.Event) -> Line:
        """The line for the event."""
        match event:
            case events.RunStarted():
                return self._run_started(event)
            case events.AccountStarted():
                return self._account_started(event)
            case events.NumbersRead():
                return self._numbers_read(event)
            case events.Waiting():
                return self._waiting(event)
            case events.Publishing():
                return self._publishing(event)
            case events.AccountFinished():
                return self._account_finished(event.result)
            case events.Notice():
                return self._notice(event)
            case events.RunFinished():
                return self._run_finished(event.result)

    def account(self, account_id: int) -> str:
        """The account in a sentence, with its name when that is known."""
        return named(account_id, self._names.get(account_id))

    def _line(self, level: int, name: EventName, message: str, account_id: int | None = None, **fields: object) -> Line:
        return Line(level=level, event=name, message=message, run_id=self.run_id, account_id=account_id, fields=fields)

    def _run_started(self, event: events.RunStarted) -> Line:
        self.run_id = event.run_id
        source = printable(event.source_url)
        message = f"run started: {counted(event.accounts, 'account')} of {source}"
        return self._line(INFO, EventName.RUN_STARTED, message, accounts=event.accounts, source_url=source)

    def _account_started(self, event: events.AccountStarted) -> Line:
        self._names[event.account_id] = event.account_name
        known = f"{counted(event.expected, 'number')} known" if event.expected else "first load"
        message = f"{self.account(event.account_id)}: listing, {known}"
        fields = {"account_name": event.account_name, "expected": event.expected}
        return self._line(INFO, EventName.ACCOUNT_STARTED, message, event.account_id, **fields)

    def _numbers_read(self, event: events.NumbersRead) -> Line:
        of = f" of {thousands(event.expected)}" if event.expected else ""
        points = "" if event.points_left is None else f", {counted(event.points_left, 'point')} left"
        message = f"{self.account(event.account_id)}: {thousands(event.read)}{of} numbers read{points}"
        fields = {"read": event.read, "expected": event.expected, "points_left": event.points_left}
        return self._line(INFO, EventName.NUMBERS_READ, message, event.account_id, **fields)

    def _waiting(self, event: events.Waiting) -> Line:
        reason = printable(event.reason)
        about = "" if event.account_id is None else f"{self.account(event.account_id)}: "
        message = f"{about}waiting {lasting(event.seconds)}: {reason}"
        return self._line(INFO, EventName.WAITING, message, event.account_id, seconds=event.seconds, reason=reason)

    def _publishing(self, event: events.Publishing) -> Line:
        message = f"{self.account(event.account_id)}: {counted(event.listed, 'number')} listed, comparing and writing"
        return self._line(INFO, EventName.PUBLISHING, message, event.account_id, listed=event.listed)

    def _account_finished(self, result: AccountResult) -> Line:
        level = INFO if result.is_told else _LOUDNESS[result.status]
        self._names.setdefault(result.account_id, result.account_name)
        message = f"{self.account(result.account_id)}: {account_verdict(result)}"
        changes = {table: change for table, change in result.changes.items() if change.opened or change.closed}
        fields = plain_but(replace(result, changes=changes), "run_id", "account_id")
        return self._line(level, EventName.ACCOUNT_FINISHED, message, result.account_id, **fields)

    def _notice(self, event: events.Notice) -> Line:
        about = "" if event.account_id is None else f"{self.account(event.account_id)}: "
        return self._line(WARNING, EventName.NOTICE, about + printable(event.message), event.account_id)

    def _run_finished(self, result: RunResult) -> Line:
        """How it ended; an end that is not well has its error line besides, so this one only informs."""
        message = run_verdict(result)
        fields = plain_but(result, "run_id", "accounts")
        return self._line(INFO, EventName.RUN_FINISHED, message, **fields)


_LOUDNESS = {
    AccountStatus.SUCCEEDED: INFO,
    AccountStatus.HELD: WARNING,
    AccountStatus.FAILED: ERROR,
    AccountStatus.UNREACHABLE: WARNING,
}
"""The log level of an account's end."""


def account_verdict(result: AccountResult) -> str:
    """How an account sync ended, in one sentence."""
    if result.status is not AccountStatus.SUCCEEDED:
        return f"{result.status.value}: {printable(result.error or 'no reason is on record')}"
    listed = counted(result.listed_numbers or 0, "number")
    remarks = account_remarks(result)
    return f"{listed} listed, {rows_changed(result)}" + (f" ({remarks})" if remarks else "")


def rows_changed(result: AccountResult) -> str:
    """What an account sync published, in words."""
    if not result.rows_opened and not result.rows_closed:
        return "nothing changed"
    return f"{counted(result.rows_opened, 'row')} opened, {thousands(result.rows_closed)} closed"


def account_remarks(result: AccountResult) -> str:
    """What the operator should know of an account sync that was published; empty when there is nothing."""
    counts = [
        (result.quarantined, "quarantined"),
        (result.suspects, "not proven gone, left open" if not result.viewer_changed else f"{OTHER_VIEWER}, left open"),
        (result.unaccounted, "counted by the source but not sent"),
        (result.conflicts, "sent in two versions"),
        (result.duplicates, "sent twice"),
    ]
    words = [f"{thousands(n)} {what}" for n, what in counts if n]
    if result.retries:
        words.append(counted(result.retries, "retry", "retries"))
    if result.strategy == "offsets":
        words.append("listed by offsets")
    return ", ".join(words)


def run_verdict(result: RunResult) -> str:
    """How a run ended, in one sentence."""
    if not result.accounts:
        return f"{result.status.value}: no account was tried"
    published = sum(a.status is AccountStatus.SUCCEEDED for a in result.accounts)
    opened = sum(a.rows_opened for a in result.accounts)
    closed = sum(a.rows_closed for a in result.accounts)
    changed = f"{counted(opened, 'row')} opened, {thousands(closed)} closed" if opened or closed else "nothing changed"
    took = lasting((result.finished_at - result.started_at).total_seconds())
    of = counted(len(result.accounts), "account")
    return f"{result.status.value}: {published} of {of} published, {changed}, in {took}"
