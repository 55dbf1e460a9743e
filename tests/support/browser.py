"""Headless Chromium: the page that a reader sees once its scripts have run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""Programs that are Chromium, as Debian and others name it."""
CALM = (
    "--headless",
    "--no-sandbox",  # the tests may run as root, in a container; they open only their own pages
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--virtual-time-budget=10000",
)


def chromium() -> str:
    """Path of the program; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("chromium is not on this machine")
    return found


def dom(program: str, url: str, profile: Path) -> str:
    """HTML of the page at `url` after its scripts have run; `profile`: a folder for the browser's files."""
    command = [program, *CALM, f"--user-data-dir={profile}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
