"""Runs of many seeds in several processes: their findings, and counts of all events."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.simulation.harness import Report
from tests.simulation.mutants import MUTANTS, SEEDS
from tests.simulation.seed import simulate
from tests.simulation.stage import Stage

CHUNK = 20
UNFIT = (TypeError, AttributeError, NameError)
"""Errors of a mutant that was written for another signature."""


@dataclass
class Summary:
    """Findings of many seeds."""

    seeds: int = 0
    cpu: float = 0.0
    struck: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[Report] = field(default_factory=list)

    def add(self, report: Report) -> None:
        """Add the report of a seed."""
        self.seeds += 1
        self.struck += report.struck
        self.counts += report.counts
        if report.problems:
            self.failed.append(report)

    def merge(self, other: Summary) -> None:
        """Add another summary."""
        self.seeds += other.seeds
        self.cpu += other.cpu
        self.struck += other.struck
        self.counts += other.counts
        self.failed += other.failed


def play(seeds: Iterable[int]) -> Summary:
    """Play seeds in this process."""
    summary, start = Summary(), time.process_time()
    stage = Stage()
    try:
        for seed in seeds:
            summary.add(simulate(seed, stage))
    finally:
        stage.close()
    summary.cpu = time.process_time() - start
    return summary


def play_in_parallel(seeds: range, jobs: int) -> Iterator[Summary]:
    """Play seeds in `jobs` processes. Yields a summary of each part when it is done."""
    parts = [seeds[n : n + CHUNK] for n in range(0, len(seeds), CHUNK)]
    if jobs == 1:
        yield from map(play, parts)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(play, parts)


@dataclass(frozen=True)
class Hunt:
    """Result of a hunt: the report of the first seed that found the mutant, or None; the count of seeds played."""

    name: str
    found: Report | None
    seeds: int


def hunt(name: str, first: int = 0, seeds: int = SEEDS) -> Hunt:
    """Plant a mutant and play seeds until one finds it.

    Raises the mutant's own error if it no longer fits the program: such a mutant proves nothing.
    """
    stage = Stage()
    try:
        with MUTANTS[name].plant():
            for count, seed in enumerate(range(first, first + seeds), start=1):
                report = simulate(seed, stage, under=MUTANTS[name].under)
                if isinstance(report.bug, UNFIT):
                    raise report.bug
                if report.problems:
                    return Hunt(name, report, count)
    finally:
        stage.close()
    return Hunt(name, None, seeds)
