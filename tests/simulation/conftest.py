"""Fixture of a stage, on which seeds are played; one for each test module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.stage import Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A stage: a folder, an engine and an empty warehouse to copy."""
    stage = Stage()
    yield stage
    stage.close()
