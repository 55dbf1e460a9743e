"""A pytest that a test starts; the options that the environment gives to the outer pytest do not change it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from tests.support.checkout import ROOT

_OPTIONS = ["-q", "-x", "-m", "", "-p", "no:cacheprovider", "--color=no"]


@dataclass(frozen=True)
class Ran:
    """Result of a run: its exit code and its output."""

    code: int
    said: str


def run_pytest(*arguments: str, **environment: str) -> Ran:
    """Run tests to the first failure. Pytest's own variables are removed from the environment."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PY_COLORS"))}
    command = [sys.executable, "-m", "pytest", *_OPTIONS, *arguments]
    done = subprocess.run(command, env=own | environment, cwd=ROOT, capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout + done.stderr)
