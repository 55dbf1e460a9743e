"""Peak memory and duration of a `vnsync` process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.running import command, environment

MOST = 400
"""Limit of a process's memory in MiB, for any answer."""
_WATCH = """
import resource, subprocess, sys, time
start = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, time.monotonic() - start)
"""
"""Script that runs a command and prints its peak. A direct child of this process would inherit this process's peak."""


@dataclass(frozen=True)
class Measured:
    """Exit code, peak memory in MiB, seconds, and the lines on stderr of a process."""

    code: int
    memory: float
    seconds: float
    errors: list[str]


def measured(*words: object, extra: Mapping[str, str] | None = None) -> Measured:
    """Run `vnsync` with these arguments to its end. `extra`: additional environment variables."""
    watched = [sys.executable, "-c", _WATCH, *command(*words, "--log-level", "error")]
    env = {**environment(), **(extra or {})}
    done = subprocess.run(watched, env=env, capture_output=True, text=True, check=True, timeout=400)
    code, kibibytes, seconds = done.stdout.split()
    return Measured(int(code), int(kibibytes) / 1024, float(seconds), done.stderr.splitlines())
