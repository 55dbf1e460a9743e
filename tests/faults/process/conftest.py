"""Fixtures for real processes: a warehouse that is up to date, and its sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stress.stage import Stage
from tests.support.processes import playing


@pytest.fixture
def play(warehouse_url: str, tmp_path: Path) -> Iterator[Stage]:
    """A warehouse that is up to date."""
    with playing(warehouse_url, tmp_path) as made:
        made.converge()
        yield made


@pytest.fixture
def play_sqlite(sqlite_template: Path, tmp_path: Path) -> Iterator[Stage]:
    """A SQLite warehouse that is up to date."""
    shutil.copy(sqlite_template, tmp_path / "warehouse.db")
    with playing(f"sqlite:///{tmp_path}/warehouse.db", tmp_path) as made:
        made.converge()
        yield made
