"""Warehouses in addition to the one that `tests/conftest.py` gives to each test."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine


@pytest.fixture
def new_warehouse(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, open_kept: Callable[[str], Engine]
) -> Callable[[], Engine]:
    """Makes any number of migrated warehouses on this database."""
    numbers = itertools.count()

    def make() -> Engine:
        if database == "postgresql":
            template = request.getfixturevalue("postgresql_template")
            return open_kept(request.getfixturevalue("new_postgresql")(template))
        file = tmp_path / f"warehouse-{next(numbers)}.db"
        return open_kept(f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite_template'), file)}")

    return make
