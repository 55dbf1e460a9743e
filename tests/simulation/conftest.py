"""A stage on which seeds play, one for each test module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.stage import Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A folder, an engine and an empty warehouse to copy."""
    stage = Stage()
    yield stage
    stage.close()
