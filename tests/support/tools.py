"""Programs of Debian's that some tests need: skipped without them, but not in CI."""

from __future__ import annotations

import os
import shutil
import sys

import pytest


def missing(tool: str, package: str) -> None:
    """Skip the test if the tool is missing; in CI on Linux a missing tool is a failure."""
    reason = f"{tool} is not on this machine: it comes with Debian's package `{package}`"
    if os.environ.get("CI") and sys.platform == "linux":
        pytest.fail(f"{reason}, which CI has to install")
    pytest.skip(reason)


def required(tool: str, package: str) -> str:
    """Path of the tool; the test is skipped, or fails in CI, without it."""
    path = shutil.which(tool)
    if path is None:
        missing(tool, package)
    assert path
    return path
