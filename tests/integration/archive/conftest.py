"""Warehouses for replays of archives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine


@pytest.fixture
def target(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, open_kept: Callable[[str], Engine]
) -> Callable[[], Engine]:
    """Makes empty warehouses, by default on the other database than the synced one, which is the harder case."""

    def make(name: str = "replayed", other: bool = True) -> Engine:
        if (database == "postgresql") != other:
            template = request.getfixturevalue("postgresql_template")
            return open_kept(request.getfixturevalue("new_postgresql")(template))
        file = tmp_path / f"{name}.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        return open_kept(f"sqlite:///{file}")

    return make
