"""The mass-close guard's arithmetic."""

from __future__ import annotations

import pytest

from etl.domain.guard import NEVER_BELOW, allowed_to_close


@pytest.mark.parametrize(
    ("open_numbers", "share", "allowed"),
    [(0, 0.5, 20), (39, 0.5, 20), (40, 0.5, 20), (42, 0.5, 21), (1001, 0.5, 500), (100, 0.0, 20), (100, 1.0, 100)],
)
def test_how_many_numbers_one_sync_may_close(open_numbers: int, share: float, allowed: int) -> None:
    """The share of the open numbers, rounded down, and never fewer than twenty."""
    assert allowed_to_close(open_numbers, share) == allowed
    assert NEVER_BELOW == 20
