"""G12: signals at almost the same time are treated as a single one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stress.stage import Stage
from tests.support.processes import ended, halt, playing, refused, rows

PLACES = [("elsewhere", 1, "request"), ("elsewhere", 1, "after bulk"), ("publishing", 1, "")]


@pytest.fixture
def play(warehouse_url: str, tmp_path: Path) -> Iterator[Stage]:
    """A warehouse that is up to date."""
    with playing(warehouse_url, tmp_path) as made:
        made.converge()
        yield made


@pytest.mark.parametrize(
    ("signals", "code", "name"),
    [
        ((signal.SIGTERM, signal.SIGTERM), 143, "SIGTERM"),
        ((signal.SIGINT, signal.SIGTERM), (130, 143), "SIG"),
        ((signal.SIGTERM,) * 3, 143, "SIGTERM"),
    ],
    ids=["twice", "both", "thrice"],
)
@pytest.mark.fault("G12")
def test_signals_that_come_together_are_one(
    play: Stage, signals: tuple[signal.Signals, ...], code: int | tuple[int, ...], name: str
) -> None:
    """`timeout` signals the process and then its group: the run still ends cleanly, says so, and is recorded."""
    codes = code if isinstance(code, tuple) else (code,)
    for phase, nth, only in PLACES:
        before = play.truth()
        play.pass_day()
        pid = halt(play, phase, nth, only=only)
        os.kill(pid, signal.SIGCONT)
        for each in signals:
            os.kill(pid, each)
            time.sleep(0.0005)
        done = ended(play)
        line = refused(done, done.code, f"stopped by {name}")
        assert done.code in codes
        play.between(before, play.truth())
        last = rows(play, "select run_id, status, exit_code from sync_runs where status <> 'succeeded' order by 1")[-1]
        assert last[1:] == ("interrupted", done.code)
        assert str(last[0]) in line
        play.converge()
