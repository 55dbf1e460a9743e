"""Fixture for faults of PostgreSQL and of the link to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fault_clusters import private
from tests.support.scenes import Scene, scene


@pytest.fixture(scope="session")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of the private cluster that has seen the first day of every scene, to copy."""
    name = private().new_database()
    with scene(tmp_path_factory.mktemp("scene"), private().url(name)) as made:
        made.lives(1)
    return name


@pytest.fixture
def stage(first_day: str, tmp_path: Path) -> Iterator[Scene]:
    """A warehouse of the private cluster that has seen one day, and a second day at the source."""
    with scene(tmp_path / "scene", private().url(private().new_database(like=first_day))) as made:
        made.goes_on(1)
        yield made
