"""Progress on a terminal: its lines, and warnings that stay."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from etl.domain.events import (
    AccountFinished,
    AccountStarted,
    Event,
    NumbersRead,
    Publishing,
    RunFinished,
    RunStarted,
    Waiting,
)
from etl.domain.runs import AccountResult, AccountStatus, RunResult, RunStatus
from etl.report.terminal.progress import progress

NOW = datetime(2026, 11, 23, 19, 36, 38, tzinfo=UTC)
RUN = 2611231936380001
GOOD = AccountResult(
    run_id=RUN, account_id=101, account_name="Acme", status=AccountStatus.SUCCEEDED, started_at=NOW, rows_opened=5
)
HELD = replace(GOOD, status=AccountStatus.HELD, error="too many\x1b[2J gone", rows_opened=0)
STARTED = (
    RunStarted(run_id=RUN, source_url="https://dataapi.example/v2.0", accounts=2),
    AccountStarted(account_id=101, account_name="[bold]Acme", expected=25_000),
)


class Terminal(io.StringIO):
    """A stream that says that a person looks at it."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")


def drawn(*events: Event) -> str:
    """All that was drawn, without colours and cursor movements."""
    stream = Terminal()
    with progress(stream, now=lambda: NOW) as report:
        for event in events:
            report(event)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            NumbersRead(account_id=101, read=10_000, expected=25_000, points_left=57),
            "10 000 of 25 000 numbers, 57 points left",
        ),
        (Waiting(seconds=42, reason="the minute's points"), "waiting 42 s: the minute's points"),
        (Publishing(account_id=101, listed=25_000), "25 000 numbers listed, writing"),
        (AccountFinished(result=GOOD), "5 rows added"),
    ],
)
def test_progress_shows_what_happens(event: Event, text: str) -> None:
    """Numbers read of expected, points left, waits with their reason, rows published; names as they are."""
    shown = drawn(*STARTED, event)
    assert f"run {RUN}" in shown
    assert "101 [bold]Acme" in shown
    assert text in shown


def test_held_account_stays_on_the_screen() -> None:
    """A held or failed account is a line above the progress, without cursor movements."""
    shown = " ".join(drawn(*STARTED, AccountFinished(result=HELD)).split())
    assert '2026-11-23 19:36:38 WARNING account 101 "[bold]Acme": held: too many\\x1b[2J gone' in shown


def test_end_of_run_is_left_to_the_closing_table() -> None:
    """The end of the run draws nothing, because the table on stdout shows it."""
    result = RunResult(run_id=RUN, status=RunStatus.FAILED, exit_code=69, started_at=NOW, finished_at=NOW)
    assert "failed" not in drawn(*STARTED, RunFinished(result=result))
