"""Progress on a terminal: a line for the run, and one for each account in progress; warnings stay above them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging import WARNING
from typing import TextIO

from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from etl.domain import events
from etl.domain.ports import Report
from etl.domain.runs import TableChange
from etl.report.terminal.event_lines import Line, Narrator, numbers_read, rows_changed, waiting
from etl.report.terminal.log import as_text
from etl.report.terminal.tables import console
from etl.report.wording import counted, printable

REDRAWN = 0.2
"""Seconds between two updates of the elapsed times."""
WIDE = 100
"""Least width of a terminal, in columns, that has room for bars."""


@contextmanager
def progress(stream: TextIO, *, now: Callable[[], datetime], redact: Callable[[str], str] = str) -> Iterator[Report]:
    """Report that draws on the stream, a terminal; at the end it removes all lines but the warnings."""
    with _bars(stream) as bars:
        display = Display(bars, now, redact)
        with display.ticking():
            yield display


@contextmanager
def status_line(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """Function that sets a line on the stream, a terminal, to the current step; the line is removed at the end."""
    with _bars(stream) as bars:
        task = bars.add_task("", state="")
        yield lambda text: bars.update(task, description=printable(text), refresh=True)


def _bars(stream: TextIO) -> Progress:
    """rich's progress lines without its own thread, which would write between a warning and the lines below it."""
    out = console(stream)
    one_line = {"no_wrap": True, "overflow": "ellipsis"}
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False, table_column=Column(**one_line)),  # type: ignore[arg-type]
        TextColumn("{task.fields[state]}", markup=False, table_column=Column(**one_line)),  # type: ignore[arg-type]
        TimeElapsedColumn(),
    ]
    if out.width >= WIDE:
        columns.insert(1, BarColumn(bar_width=24))
    return Progress(*columns, console=out, transient=True, auto_refresh=False)


class Display:
    """State of the progress lines: a task for the run, and one for each account in progress.

    One lock guards every write to the terminal.
    """

    def __init__(self, bars: Progress, now: Callable[[], datetime], redact: Callable[[str], str] = str) -> None:
        self._bars, self._now, self._redact = bars, now, redact
        self._narrator = Narrator()
        self._run: TaskID | None = None
        self._accounts: dict[int, TaskID] = {}
        self._rows = TableChange()
        self._lock = threading.Lock()

    def __call__(self, event: events.Event) -> None:
        """Update the progress; print lines at warning or above over it. Safe to call from any thread."""
        with self._lock:
            for line in self._narrator.lines(event):
                if line.level >= WARNING:
                    self._print(line)
            self._draw(event)
            self._bars.refresh()

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Context in which a thread updates the elapsed times."""
        done = threading.Event()
        thread = threading.Thread(target=self._tick, args=(done,), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _tick(self, done: threading.Event) -> None:
        while not done.wait(REDRAWN):
            with self._lock:
                self._bars.refresh()

    def _print(self, line: Line) -> None:
        """Print a line that stays; it is not folded, so that it can be copied."""
        text = Text(self._redact(as_text(line, self._now().astimezone(UTC))))
        self._bars.console.print(text, soft_wrap=True)

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
        points = "" if event.points_left is None else f", {counted(event.points_left, 'point')} left"
        task = self._accounts.get(event.account_id)
        if task is not None:
            self._bars.update(task, total=event.expected or None)
        self._account(event.account_id, f"{numbers_read(event)}{points}", event.read)
        self._run_state(self._totals())

    def _waiting(self, event: events.Waiting) -> None:
        state = self._redact(waiting(event))
        if event.account_id in self._accounts:
            self._bars.update(self._accounts[event.account_id], state=state)
        else:
            self._run_state(state)

    def _account_finished(self, event: events.AccountFinished) -> None:
        self._rows += event.result.rows
        task = self._accounts.pop(event.result.account_id, None)
        if task is not None:
            self._bars.remove_task(task)
        if self._run is not None:
            self._bars.advance(self._run)
        self._run_state(self._totals())

    def _totals(self) -> str:
        return rows_changed(self._rows) if self._rows.opened or self._rows.closed else ""

    def _account(self, account_id: int, state: str, completed: int) -> None:
        task = self._accounts.get(account_id)
        if task is not None:
            self._bars.update(task, state=state, completed=completed)

    def _run_state(self, state: str) -> None:
        if self._run is not None:
            self._bars.update(self._run, state=state)
