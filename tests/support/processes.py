"""Real processes for group X: forked quickly, halted at named points, and checked by the resulting warehouse."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stress.stage import TOKEN, Ended, Runner, Stage, reading, stage


@functools.cache
def runner(which: int) -> Runner:
    """A runner for all tests of this process. `which`: another number is another runner, for concurrent runs."""
    made = Runner(_folder("runs"))
    atexit.register(made.close)  # before its folder is removed
    return made


def _folder(purpose: str) -> Path:
    """A temporary folder that is removed when this process ends."""
    folder = tempfile.mkdtemp(prefix=f"vnsync-{purpose}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@contextmanager
def playing(url: str, folder: Path, **more: Any) -> Iterator[Stage]:
    """A stage on the warehouse at `url`."""
    with stage(url, folder, runner=runner(0), **more) as play:
        try:
            yield play
        finally:
            for which in range(2 if runner.cache_info().currsize > 1 else 1):
                runner(which).abandon()


@contextmanager
def beside(play: Stage) -> Iterator[Stage]:
    """A stage on the same warehouse for a second run, while the first is halted."""
    yield Stage(play.folder, play.world, play.api, play.source, runner(1), play.url)


def halt(play: Stage, phase: str, number: int = 1, *, only: str = "", words: tuple[str, ...] = ()) -> int:
    """Start a run and wait until it halts at a point. Returns its process id."""
    pid = play.start(*words, at={"phase": phase, "number": number, "deed": "halt", "only": only})
    assert play.runner.wait() is None, "the run ended before its point"
    return pid


def resume(play: Stage, pid: int, *signals: signal.Signals) -> Ended:
    """Let a halted run continue, with pending signals. Returns its end."""
    for each in (*signals, signal.SIGCONT):
        os.kill(pid, each)
    return ended(play)


def ended(play: Stage) -> Ended:
    """The end of the run."""
    news = play.runner.wait()
    assert news is not None, "the run halted"
    return news


def refused(done: Ended, code: int, says: str = "") -> str:
    """Check for one line on stderr with cause and exit code, without a traceback or the key. Returns it."""
    lines = [line for line in done.err.splitlines() if "vnsync: error: " in line]
    assert (done.code, len(lines)) == (code, 1), (done.code, done.err)
    assert lines[0].endswith(f"exit {code})")
    assert re.search(says, lines[0]), lines[0]
    assert "Traceback" not in done.err
    assert TOKEN not in done.out + done.err
    return lines[0]


def rows(play: Stage, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a query, read without vnsync."""
    with reading(play.url) as engine, engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def wait_until(true: Any, what: str, seconds: float = 15.0) -> None:
    """Poll until a condition is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


STRACE = Path("/usr/bin/strace")


@contextmanager
def traced(pid: int, *options: str) -> Iterator[Path]:
    """Attach strace with these options to a halted process until its end. Yields the output file."""
    if not STRACE.exists() and not os.environ.get("CI"):
        pytest.skip("strace is not installed")
    log = _folder("strace") / "trace"
    command = [str(STRACE), "-f", "-y", "-o", str(log), *options, "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr
    line = tracer.stderr.readline()
    if "attached" not in line:
        tracer.wait(timeout=10)
        pytest.skip(f"this machine allows no tracing: {line.strip()}")
    try:
        yield log
    finally:
        tracer.stderr.close()
        tracer.wait(timeout=30)
