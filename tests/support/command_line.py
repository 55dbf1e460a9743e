"""Fixtures of the command line: a clean folder, ways to run a command, and sandboxes on loopback.

`tests/conftest.py` names this module as a plugin, so every test can use them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl.cli.main import run
from etl.sandbox.world import CustomerPlan, World
from tests.support.running import Outcome, Run, Source, command, environment, listening


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty current folder, no settings in the environment, a terminal of 100 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in list(os.environ):
        if name.startswith("VNSYNC_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def vnsync(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in this process; keywords are environment variables for it alone."""

    def call(*arguments: object, **environment: str) -> Outcome:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            code = run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture
def process() -> Run:
    """Runs a command line in its own process, with the options of `subprocess.run`."""

    def call(*arguments: object, **more: Any) -> Outcome:
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **more}
        done = subprocess.run(command(*arguments), env=environment(), text=True, check=False, **more)
        return Outcome(done.returncode, done.stdout or "", done.stderr or "")

    return call


@pytest.fixture
def agency(tmp_path: Path) -> Iterator[Source]:
    """An agent of two customers: one of 30 numbers, one of 5 with a hostile name."""
    plans = [
        CustomerPlan(numbers=30, name="Acme", timezone="Europe/London"),
        CustomerPlan(numbers=5, name='Zoë\x1b[2J"\n7', timezone="Asia/Tokyo"),
    ]
    yield from listening(World(seed=1, customers=plans), tmp_path)


@pytest.fixture
def customer(tmp_path: Path) -> Iterator[Source]:
    """One customer's own token, 25 numbers."""
    plan = CustomerPlan(numbers=25, name="Acme", timezone="Europe/London")
    yield from listening(World(seed=2, customers=[plan], role="customer"), tmp_path)
