"""A pytest that a test starts: the same whatever options the outer one was given by the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from tests.support.checkout import ROOT

_OPTIONS = ["-q", "-x", "-m", "", "-p", "no:cacheprovider", "--color=no"]


@dataclass(frozen=True)
class Ran:
    """How it ended: its exit code, and what it printed."""

    code: int
    said: str


def run_pytest(*arguments: str, **environment: str) -> Ran:
    """Run tests to the first failure. Of this process's environment pytest's own variables are left out."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PY_COLORS"))}
    command = [sys.executable, "-m", "pytest", *_OPTIONS, *arguments]
    done = subprocess.run(command, env=own | environment, cwd=ROOT, capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout + done.stderr)
