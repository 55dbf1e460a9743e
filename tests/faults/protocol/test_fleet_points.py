"""P09 of a fleet: processes that share a token's points send no request without a point."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.stress.fleet import limits_of, run


@pytest.mark.parametrize(("kind", "points"), [("minute", 6), ("day", 12)])
@pytest.mark.fault("P09")
def test_a_fleet_is_refused_nothing(
    warehouse: Engine, warehouse_url: str, tmp_path: Path, kind: str, points: int
) -> None:
    """Three processes with a shard each: one discovery for all, no refusal, all customers published at the end."""
    warehouse.dispose()
    limits = limits_of(kind, points, 4)
    fleet = run(warehouse_url, 3, "yes", customers=10, limits=limits, folder=tmp_path)
    assert (fleet.refused, fleet.published) == (0, 10), fleet.line
    if kind == "day":
        assert (fleet.requests, fleet.listed, set(fleet.codes)) == (12, 10, {0}), fleet.line
