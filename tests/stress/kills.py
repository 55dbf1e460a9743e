"""Kills of vnsync at swept and at random points, with a check of the warehouse after each.

Usage: python -m tests.stress.kills --database sqlite|postgresql [--kills 300] [--seed 1]

Two of three kills are swept over the points of the publishing transaction, one after another; the others hit any other
point, or any moment. A kill counts when the process died of it. Some kills follow another one without a clean run.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.stress.clusters import cluster
from tests.stress.stage import Breach, Images, Stage, empty, stage

PHASES = ("publishing", "elsewhere", "publishing", "any moment")
FIRST_LOAD_EVERY = 5
"""After this many rounds the warehouse is a new one, so that the first load and the migration are killed too."""


@dataclass
class Counts:
    """Counts of a stress run."""

    landed: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    rounds: int = 0
    points: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {what}" for what, n in sorted(self.landed.items()))
        return (
            f"{self.landed.total()} landed kills ({kinds}) at {len(self.points)} different points, "
            f"{self.missed} missed, {self.rounds} recoveries"
        )


class Killer:
    """Killer that sweeps: it keeps the next point of each phase."""

    def __init__(self, play: Stage, rng: random.Random) -> None:
        self._play, self._rng = play, rng
        self._next = {"publishing": 1, "elsewhere": 1, "first": 1}
        self._trace = play.folder / "trace"
        self.counts = Counts()

    def kill(self, phase: str, *, first: bool = False) -> bool:
        """Run once and kill. Returns whether the process died of it."""
        landed = self._at_any_moment() if phase == "any moment" else self._at_point(phase, first)
        if landed:
            self.counts.landed[("first load, " if first else "") + phase] += 1
        else:
            self.counts.missed += 1
        return landed

    def _at_point(self, phase: str, first: bool) -> bool:
        key = "first" if first and phase == "elsewhere" else phase
        number = self._next[key]
        ended = self._play.run(at={"phase": phase, "number": number, "trace": str(self._trace)})
        landed = ended.code == -signal.SIGKILL
        self._next[key] = number + (self._rng.randint(1, 6) if key == "first" else 1) if landed else 1
        if landed:
            self.counts.points.add(self._trace.read_text())
        elif ended.code:
            raise Breach(f"an undisturbed run ended with {ended.code}: {ended.err}")
        return landed

    def _at_any_moment(self) -> bool:
        pid = self._play.start()
        timer = threading.Timer(self._rng.uniform(0.01, 0.4), _kill, [pid])
        timer.start()
        ended = self._play.runner.wait()
        timer.cancel()
        timer.join()
        assert ended is not None
        return ended.code == -signal.SIGKILL


def _kill(pid: int) -> None:
    """Kill a process. The fork server collects its child at once, so the id may already be free."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def campaign(play: Stage, kills: int, *, new: Callable[[], str], rng: random.Random) -> Counts:
    """Kill runs into the warehouse `kills` times. `new`: creates an empty warehouse and returns its URL."""
    killer = Killer(play, rng)
    play.converge()
    lasting = play.url
    while killer.counts.landed.total() < kills:
        killer.counts.rounds += 1
        first = killer.counts.rounds % FIRST_LOAD_EVERY == 0
        before = play.truth()
        play.pass_day()
        if first:
            play.url = new()
            _round(play, killer, empty(before), first=True, kills=kills, rng=rng)
            play.url = lasting
        _round(play, killer, before, first=False, kills=kills, rng=rng)
    return killer.counts


def _round(play: Stage, killer: Killer, before: Images, *, first: bool, kills: int, rng: random.Random) -> None:
    """Make one to three kills without a run between them, then a clean run."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        if killer.counts.landed.total() >= kills:
            break
        phase = PHASES[(killer.counts.landed.total() + killer.counts.missed) % len(PHASES)]
        killer.kill(phase, first=first)
        play.between(before, play.truth())
    play.converge()


def run(database: str, kills: int, seed: int) -> Counts:
    """Run the whole stress run on one database, in its own folder."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if database == "sqlite":
            made = iter(range(sys.maxsize))
            urls: Callable[[], str] = lambda: f"sqlite:///{folder}/w{next(made)}.db"  # noqa: E731
            with stage(urls(), folder, seed=seed) as play:
                return campaign(play, kills, new=urls, rng=rng)
        with cluster(folder / "pg") as server, stage(server.new(), folder, seed=seed) as play:
            return campaign(play, kills, new=server.new, rng=rng)


def main() -> None:
    """Parse the arguments, run, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], required=True)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    start = time.monotonic()
    counts = run(asked.database, asked.kills, asked.seed)
    sys.stdout.write(f"{asked.database}: {counts}; no breach, in {time.monotonic() - start:.0f} s\n")


if __name__ == "__main__":
    main()
