"""Calls joined to their campaign at the time of the call, compared with an answer that Python computes."""

from __future__ import annotations

from sqlalchemy import Engine

from benchmarks.attribution import attribute
from etl.sandbox.world import CustomerPlan, World
from tests.support.rig import Rig


def test_the_readme_s_join_of_many_calls_is_exact(warehouse: Engine) -> None:
    """20 000 calls over days of moves, renamings, removals and returns, also at period edges; unknown phones get no
    campaign.

    At 1 000 000: `python -m benchmarks.reading URL --build --calls 1000000`.
    """
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=150), CustomerPlan(numbers=40)], id_step=3), warehouse)
    for _ in range(8):
        assert rig.sync().exit_code == 0
        rig.world.pass_day(share=0.25)
    assert attribute(warehouse, 20_000) >= 20_000
