"""Progress on a terminal: one line for the run, one for each account in work; warnings stay above them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging import WARNING
from typing import TextIO

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from etl.domain import events
from etl.domain.ports import Report
from etl.report.lines import Narrator
from etl.report.log import as_text
from etl.report.tables import console
from etl.report.wording import counted, lasting, printable, thousands


@contextmanager
def progress(stream: TextIO, *, now: Callable[[], datetime], redact: Callable[[str], str] = str) -> Iterator[Report]:
    """A report that draws on the stream, a terminal; what it drew is gone at the end, except for warnings."""
    what = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    state = TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    bars = Progress(what, BarColumn(bar_width=24), state, TimeElapsedColumn(), console=console(stream), transient=True)
    with bars:
        yield Display(bars, now, redact)


class Display:
    """The state of what is drawn: a task for the run and one for each account in work."""

    def __init__(self, bars: Progress, now: Callable[[], datetime], redact: Callable[[str], str] = str) -> None:
        self._bars, self._now, self._redact = bars, now, redact
        self._narrator = Narrator()
        self._run: TaskID | None = None
        self._accounts: dict[int, TaskID] = {}
        self._opened = self._closed = 0
        self._lock = threading.Lock()

    def __call__(self, event: events.Event) -> None:
        """Draw what the event changes; print its line above when it is a warning or worse. From any thread."""
        with self._lock:
            line = self._narrator.line(event)
            if line.level >= WARNING and not isinstance(event, events.RunFinished):
                self._bars.console.print(Text(self._redact(as_text(line, self._now().astimezone(UTC)))))
            self._draw(event)

    def _draw(self, event: events.Event) -> None:
        match event:
            case events.RunStarted():
                self._run = self._bars.add_task(f"run {event.run_id}", total=event.accounts, state="")
            case events.AccountStarted():
                self._account_started(event)
            case events.NumbersRead():
                self._numbers_read(event)
            case events.Waiting():
                self._waiting(event)
            case events.Publishing():
                self._account(event.account_id, f"{counted(event.listed, 'number')} listed, writing", event.listed)
            case events.AccountFinished():
                self._account_finished(event)
            case _:
                pass

    def _account_started(self, event: events.AccountStarted) -> None:
        name = f" {printable(self._redact(event.account_name), 24)}" if event.account_name else ""
        task = self._bars.add_task(f"{event.account_id}{name}", total=event.expected or None, state="listing")
        self._accounts[event.account_id] = task

    def _numbers_read(self, event: events.NumbersRead) -> None:
        of = f" of {thousands(event.expected)}" if event.expected else ""
        points = "" if event.points_left is None else f", {counted(event.points_left, 'point')} left"
        task = self._accounts.get(event.account_id)
        if task is not None:
            self._bars.update(task, total=event.expected or None)
        self._account(event.account_id, f"{thousands(event.read)}{of} numbers{points}", event.read)
        self._run_state(self._totals())

    def _waiting(self, event: events.Waiting) -> None:
        state = f"waiting {lasting(event.seconds)}: {printable(self._redact(event.reason), 60)}"
        if event.account_id in self._accounts:
            self._bars.update(self._accounts[event.account_id], state=state)
        else:
            self._run_state(state)

    def _account_finished(self, event: events.AccountFinished) -> None:
        self._opened += event.result.rows_opened
        self._closed += event.result.rows_closed
        task = self._accounts.pop(event.result.account_id, None)
        if task is not None:
            self._bars.remove_task(task)
        if self._run is not None:
            self._bars.advance(self._run)
        self._run_state(self._totals())

    def _totals(self) -> str:
        if not self._opened and not self._closed:
            return ""
        return f"{counted(self._opened, 'row')} opened, {thousands(self._closed)} closed"

    def _account(self, account_id: int, state: str, completed: int) -> None:
        task = self._accounts.get(account_id)
        if task is not None:
            self._bars.update(task, state=state, completed=completed)

    def _run_state(self, state: str) -> None:
        if self._run is not None:
            self._bars.update(self._run, state=state)
