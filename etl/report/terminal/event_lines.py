"""Events as log lines: a sentence for people, a name and fields for programs."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from etl.domain import events
from etl.domain.causes import cause_of, causes
from etl.domain.runs import AccountResult, AccountStatus, RunResult, TableChange, failures
from etl.report import causes as words
from etl.report.states import OTHER_VIEWER
from etl.report.values import plain_but
from etl.report.wording import counted, lasting, named, printable, thousands


class EventName(StrEnum):
    """Names of events in JSON logs. They are stable: log queries rely on them."""

    RUN_PREPARED = "run_prepared"
    RUN_STARTED = "run_started"
    ACCOUNT_STARTED = "account_started"
    NUMBERS_READ = "numbers_read"
    WAITING = "waiting"
    PUBLISHING = "publishing"
    ACCOUNT_FINISHED = "account_finished"
    ACCOUNTS_STOPPED = "accounts_stopped"
    NOTICE = "notice"
    RUN_FINISHED = "run_finished"
    ERROR = "error"


LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}
"""Log levels by the names that the setting accepts."""


class Line(Struct, frozen=True, kw_only=True):
    """One line of the log; `message` is safe to print."""

    level: int
    event: EventName
    message: str
    run_id: int | None = None
    account_id: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


class Narrator:
    """Converter of events into lines. It keeps the run's id and the accounts' names, which later events do not repeat.

    A cause that stops several accounts has a line at its own level for the first account, lines at debug for the
    others, and one line for all of them at the end of the run.
    """

    def __init__(self) -> None:
        self.run_id: int | None = None
        self._names: dict[int, str | None] = {}
        self._causes: set[tuple[str, str]] = set()

    def lines(self, event: events.Event) -> Iterator[Line]:
        """The lines for the event: one, and at a run's end one more for each cause that stopped several accounts."""
        if isinstance(event, events.RunFinished):
            yield from self._stopped(event.result)
        yield self._one(event)

    def _one(self, event: events.Event) -> Line:
        match event:
            case events.RunPrepared():
                return self._run_prepared(event)
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

    def _run_prepared(self, event: events.RunPrepared) -> Line:
        self.run_id = event.run_id
        return self._line(DEBUG, EventName.RUN_PREPARED, f"run {event.run_id} recorded in sync_runs")

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
        points = "" if event.points_left is None else f", {counted(event.points_left, 'point')} left"
        message = f"{self.account(event.account_id)}: {numbers_read(event)} read{points}"
        fields = {"read": event.read, "expected": event.expected, "points_left": event.points_left}
        return self._line(INFO, EventName.NUMBERS_READ, message, event.account_id, **fields)

    def _waiting(self, event: events.Waiting) -> Line:
        reason = printable(event.reason)
        about = "" if event.account_id is None else f"{self.account(event.account_id)}: "
        message = f"{about}{waiting(event)}"
        return self._line(INFO, EventName.WAITING, message, event.account_id, seconds=event.seconds, reason=reason)

    def _publishing(self, event: events.Publishing) -> Line:
        message = f"{self.account(event.account_id)}: {counted(event.listed, 'number')} listed, comparing and writing"
        return self._line(INFO, EventName.PUBLISHING, message, event.account_id, listed=event.listed)

    def _account_finished(self, result: AccountResult) -> Line:
        level = self._level(result)
        self._names.setdefault(result.account_id, result.account_name)
        message = f"{self.account(result.account_id)}: {account_verdict(result)}"
        changes = {table: change for table, change in result.changes.items() if change.opened or change.closed}
        fields = plain_but(replace(result, changes=changes), "run_id", "account_id")
        return self._line(level, EventName.ACCOUNT_FINISHED, message, result.account_id, **fields)

    def _level(self, result: AccountResult) -> int:
        for failure in failures([result]):
            cause = cause_of(failure)
            if cause in self._causes:
                return DEBUG
            self._causes.add(cause)
        return INFO if result.is_already_reported else _LEVELS[result.status]

    def _stopped(self, result: RunResult) -> Iterator[Line]:
        """Lines for causes that stopped several accounts: until now only the first one had a line."""
        for cause in causes(failures(result.accounts)):
            if len(cause.failures) > 1:
                level = _LEVELS[AccountStatus(cause.status)]
                fields: dict[str, Any] = {"accounts": cause.account_ids, "exit_code": cause.exit_code}
                yield self._line(level, EventName.ACCOUNTS_STOPPED, words.line(cause), **fields)

    def _notice(self, event: events.Notice) -> Line:
        about = "" if event.account_id is None else f"{self.account(event.account_id)}: "
        return self._line(WARNING, EventName.NOTICE, about + printable(event.message), event.account_id)

    def _run_finished(self, result: RunResult) -> Line:
        """Line for the end of the run, at info: a run that does not succeed has an error line, too."""
        message = run_verdict(result)
        fields = plain_but(result, "run_id", "accounts", "stopped_by")
        return self._line(INFO, EventName.RUN_FINISHED, message, **fields)


_LEVELS = {
    AccountStatus.SUCCEEDED: INFO,
    AccountStatus.HELD: WARNING,
    AccountStatus.FAILED: ERROR,
    AccountStatus.UNREACHABLE: WARNING,
    AccountStatus.CLAIMED: WARNING,
}
"""Log level of the end of an account sync, by its status."""


def numbers_read(event: events.NumbersRead) -> str:
    """Progress of a listing: `10 000 of 25 000 numbers`."""
    if event.expected:
        return f"{thousands(event.read)} of {counted(event.expected, 'number')}"
    return counted(event.read, "number")


def waiting(event: events.Waiting) -> str:
    """A pause in words: `retry 1 in 0.3 s: 127.0.0.1 is unreachable`, or `waiting 42 s: <reason>`."""
    begin = f"retry {event.retry} in" if event.retry else "waiting"
    return f"{begin} {lasting(event.seconds)}: {printable(event.reason)}"


def account_verdict(result: AccountResult) -> str:
    """End of an account sync in one sentence."""
    if result.status is not AccountStatus.SUCCEEDED:
        return f"{result.status.value}: {printable(result.error or 'no reason was recorded')}"
    listed = counted(result.listed_numbers or 0, "number")
    remarks = account_remarks(result)
    return f"{listed} listed, {rows_changed(result.rows)}" + (f" ({remarks})" if remarks else "")


def rows_changed(change: TableChange) -> str:
    """Published changes in words: `8 rows added, 4 changed, 3 removed`."""
    counts = [(change.added, "added"), (change.changed, "changed"), (change.removed, "removed")]
    nonzero = [(n, kind) for n, kind in counts if n]
    if not nonzero:
        return "nothing changed"
    (first, kind), *rest = nonzero
    return ", ".join([f"{counted(first, 'row')} {kind}", *(f"{thousands(n)} {kind}" for n, kind in rest)])


def account_remarks(result: AccountResult) -> str:
    """Remarks for the operator on a published account sync; empty if there are none."""
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
    """End of a run in one sentence."""
    if not result.accounts:
        return f"{result.status.value}: no account was tried"
    of = counted(len(result.accounts), "account")
    rows = sum((account.rows for account in result.accounts), TableChange())
    took = lasting((result.finished_at - result.started_at).total_seconds())
    return f"{result.status.value}: {result.published} of {of} published, {rows_changed(rows)}, in {took}"
