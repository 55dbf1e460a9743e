"""What several integration tests begin with."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.support.story import DAYS, tell


@pytest.fixture
def told(warehouse: Engine) -> Engine:
    """A warehouse after the five days of the story."""
    tell(warehouse, DAYS)
    return warehouse
