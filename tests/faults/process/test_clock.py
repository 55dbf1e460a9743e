"""X08: for any clock, an account's moments only grow, and waits are measured by the monotonic clock."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from etl.sandbox import faults
from etl.sandbox.world import CustomerPlan, World
from tests.stress.stage import Stage
from tests.support import oracle
from tests.support.fault_clusters import needs
from tests.support.processes import rows
from tests.support.rig import Rig
from tests.support.running import command, environment

FAKETIME = next((p for p in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
JUMPS = {"an-hour-back": timedelta(hours=-25), "ten-years-on": timedelta(days=3650), "stopped": timedelta(days=-1)}


def _equals_truth(rig: Rig) -> None:
    wanted = oracle.expected(rig.world.truth(rig.only))
    assert not oracle.differences(oracle.current(rig.engine, rig.only), wanted)
    assert oracle.broken_invariants(rig.engine) == []


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.fault("X08")
def test_clock_jumps_between_runs(warehouse: Engine, jump: str) -> None:
    """The next run's moment is still later than the last, and the state of each moment can be queried."""
    rig = Rig(World(seed=3, customers=[CustomerPlan(numbers=40)], role="customer"), warehouse)
    told = []
    for index in range(4):
        if index == 2:
            rig.clock.time += JUMPS[jump]
        result = rig.sync()
        assert result.exit_code == 0
        told.append((result.accounts[0].observed_at, oracle.expected(rig.world.truth(rig.only))))
        _equals_truth(rig)
        rig.world.pass_day(share=0.2)
    moments = [moment for moment, _ in told if moment]
    assert moments == sorted(set(moments))
    for moment, truth in told:
        assert moment
        assert not oracle.differences(oracle.as_of(warehouse, rig.only, moment), truth)


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.fault("X08")
def test_clock_jumps_in_the_middle_of_a_run(warehouse: Engine, jump: str) -> None:
    """The wall clock jumps while a run lists and retries: the run succeeds, with no more waiting than without."""
    rig = Rig(World(seed=3, customers=[CustomerPlan(numbers=40)], role="customer"), warehouse)
    rig.sync()
    rig.world.pass_day(share=0.2)

    def turn(_request: object) -> None:
        rig.clock.time += JUMPS[jump]
        rig.api.after_request.clear()

    rig.api.after_request.append(turn)
    rig.api.faults.add(faults.http(502), times=2)
    rig.clock.slept.clear()
    assert rig.sync().exit_code == 0
    assert sum(rig.clock.slept) < 10
    _equals_truth(rig)
    rig.world.pass_day(share=0.2)
    assert rig.sync().exit_code == 0
    _equals_truth(rig)


@pytest.mark.soak
@pytest.mark.fault("X08")
def test_real_processes_under_another_clock(play: Stage) -> None:
    """Processes ten years ahead, then an hour back, both publish; the account's moments only grow."""
    needs(FAKETIME, "libfaketime")
    for shift in ("+3650d", "-3600s"):
        play.pass_day()
        faked = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        variables = {**environment(), **play.environment(), **faked}
        done = subprocess.run(command(*play.words()), env=variables, capture_output=True, text=True, timeout=60,
                              cwd=play.folder, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        play.equals(play.truth())
    play.pass_day()
    play.converge()
    found = rows(play, "select account_id, observed_at from account_syncs order by account_id, observed_at")
    started = rows(play, "select started_at from sync_runs order by run_id")
    assert len(found) == len(set(found)) == 8
    assert str(max(started)[0]) > "2036"
    assert os.environ.get("LD_PRELOAD") is None
