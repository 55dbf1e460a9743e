"""The same seed gives the same trace: in one process, in another, and with any order of hashes."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.simulation.seed import simulate
from tests.simulation.stage import Stage
from tests.support.checkout import ROOT

SEEDS = (7, 24)


def _digests_elsewhere(hash_seed: str) -> list[str]:
    script = (
        "import sys\nfrom tests.simulation.many_seeds import Stage, simulate\nstage = Stage()\n"
        "for seed in map(int, sys.argv[1:]): print(simulate(seed, stage).digest)\nstage.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, SEEDS)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.split()


def test_same_seed_same_trace_in_another_process_with_other_hashes(stage: Stage) -> None:
    """A trace does not depend on the order of sets, on the time of day, or on seeds that were played before."""
    here = [simulate(seed, stage).digest for seed in SEEDS]
    assert here == _digests_elsewhere("0") == _digests_elsewhere("4711")


def test_different_seeds_differ(stage: Stage) -> None:
    """Different seeds are different worlds with different traces."""
    assert len({simulate(seed, stage).digest for seed in range(3)}) == 3


def test_trace_is_the_same_whether_it_is_kept_or_not(stage: Stage) -> None:
    """Keeping the trace does not change a seed: the printed trace is the one that was hashed."""
    kept = simulate(3, stage, keep_trace=True)
    assert kept.lines
    assert kept.digest == simulate(3, stage).digest
