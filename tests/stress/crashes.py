"""Crashes of the PostgreSQL server during a run: SIGKILL to the postmaster or to backends, an immediate stop.

Usage: python -m tests.stress.crashes [--crashes 30] [--seed 1]

The run halts at a point (swept, as in `kills`), the server crashes, and the run continues, before or after the server
is back. However the run ends, each account has its old or its new state completely, and the next run converges.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.stress.clusters import Cluster, cluster
from tests.stress.stage import Breach, Ended, Stage, stage

KINDS = ("postmaster", "immediate", "backend")
MAY_END_WITH = {0, 3, 69, 75}
"""Exit codes: done, some accounts, database unavailable, try again later. Never an unexpected error or a breach."""


@dataclass
class Counts:
    """Counts of a stress run."""

    crashes: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    points: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(self.crashes.items()))
        codes = ", ".join(f"{n} x exit {code}" for code, n in sorted(self.codes.items()))
        return f"{self.crashes.total()} crashes ({kinds}) at {len(self.points)} different points; {codes}"


def campaign(play: Stage, server: Cluster, crashes: int, rng: random.Random) -> Counts:
    """Crash the server `crashes` times, at swept points, and recover each time."""
    counts, numbers = Counts(), {"publishing": 1, "elsewhere": 1}
    trace = play.folder / "trace"
    play.converge()
    while counts.crashes.total() < crashes:
        turn = counts.crashes.total()
        phase = "elsewhere" if turn % 4 == 3 else "publishing"
        before = play.truth()
        play.pass_day()
        pid = play.start(at={"phase": phase, "number": numbers[phase], "deed": "halt", "trace": str(trace)})
        ended = play.runner.wait()
        if ended is not None:  # the sweep has ended
            numbers[phase] = 1
            play.converge()
            continue
        numbers[phase] += rng.randint(1, 4)
        kind = KINDS[turn % len(KINDS)]
        ended = _crash(play, server, pid, kind, late=turn % 2 == 1)
        _judge(play, ended)
        play.between(before, play.truth())
        counts.crashes[kind] += 1
        counts.codes[ended.code] += 1
        counts.points.add(trace.read_text())
        play.converge()
    return counts


def _crash(play: Stage, server: Cluster, pid: int, kind: str, *, late: bool) -> Ended:
    """Crash the server under a halted run. `late`: the run continues while the server is still down."""
    server.crash(kind)
    if late:
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.3)
    server.start()
    if not late:
        os.kill(pid, signal.SIGCONT)
    ended = play.runner.wait()
    assert ended is not None
    return ended


def _judge(play: Stage, ended: Ended) -> None:
    if ended.code not in MAY_END_WITH:
        raise Breach(f"a crashed server made the run end with {ended.code}: {ended.err}")
    lines = [line for line in ended.err.splitlines() if line.startswith("vnsync: error: ")]
    if "Traceback" in ended.err or len(lines) != (ended.code != 0):
        raise Breach(f"not one line for exit {ended.code}: {ended.err}")


def run(crashes: int, seed: int) -> Counts:
    """Run the whole stress run on its own cluster."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with cluster(folder / "pg") as server, stage(server.new(), folder, seed=seed) as play:
            return campaign(play, server, crashes, random.Random(seed))


def main() -> None:
    """Parse the arguments, run, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crashes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    start = time.monotonic()
    counts = run(asked.crashes, asked.seed)
    sys.stdout.write(f"postgresql: {counts}; no breach, in {time.monotonic() - start:.0f} s\n")


if __name__ == "__main__":
    main()
