"""Each test of the command line begins in a clean folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def begun_clean(clean: Path) -> Path:
    """An empty current folder, no settings in the environment, a terminal of 100 columns."""
    return clean
