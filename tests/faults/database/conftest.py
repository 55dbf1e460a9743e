"""Fixture for faults of PostgreSQL and of the link to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fault_clusters import private
from tests.support.scenes import Scene, scene


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scene]:
    """A warehouse of the private cluster that has seen one day, and a second day at the source."""
    with scene(tmp_path / "scene", private().url(private().new_database())) as made:
        assert made.sync().code == 0
        made.a_day_passes()
        yield made
