"""Fuzzing of the code that reads answers: errors, listing, decoding, normalizing. Only `VnsyncError` may be raised.

Usage: python -m tests.stress.fuzz [--inputs 1000000] [--jobs 2] [--seed 1]      exit 1 when something was found
       python -m tests.stress.fuzz --replay SEED:INDEX                           one input again, with its traceback
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FrameType

from tests.stress.fuzz_checks import examine
from tests.stress.fuzz_inputs import draw

SLOWEST = 10
"""Seconds of computing for one input; more counts as an endless loop."""
SHOWN = 5


@dataclass
class Findings:
    """Outcomes of the inputs: how often each came, the slowest input, and the findings."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)
    failures: dict[str, list[int]] = field(default_factory=dict)

    def add(self, other: Findings) -> None:
        """Add the findings of another process."""
        self.outcomes += other.outcomes
        self.slowest = max(self.slowest, other.slowest)
        for what, indexes in other.failures.items():
            self.failures.setdefault(what, []).extend(indexes)


def fuzz(seed: int, indexes: Iterable[int], judge: Callable[[bytes], str] = examine) -> Findings:
    """Try the inputs one by one; every exception that `judge` raises is a finding."""
    found = Findings()
    for index in indexes:
        body = draw(seed, index)
        start = time.perf_counter()
        try:
            found.outcomes[judge(body)] += 1
        except Exception as exc:  # noqa: BLE001 - every exception is a finding
            found.outcomes["FAILED"] += 1
            found.failures.setdefault(f"{type(exc).__name__}: {str(exc)[:100]}", []).append(index)
        found.slowest = max(found.slowest, (time.perf_counter() - start, index))
    return found


def _too_slow(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"no end after {SLOWEST} s")


def _guarded(body: bytes) -> str:
    signal.setitimer(signal.ITIMER_PROF, SLOWEST)
    try:
        return examine(body)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _share(task: tuple[int, range]) -> Findings:
    signal.signal(signal.SIGPROF, _too_slow)
    return fuzz(*task, _guarded)


def campaign(seed: int, inputs: int, jobs: int) -> Findings:
    """Run the whole stress run, in `jobs` processes."""
    step = 2000
    tasks = [(seed, range(start, min(start + step, inputs))) for start in range(0, inputs, step)]
    total = Findings()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for part in pool.imap_unordered(_share, tasks):
            total.add(part)
    return total


def replay(seed: int, index: int) -> None:
    """Try one input again, and let its exception through."""
    body = draw(seed, index)
    sys.stdout.write(f"{body[:4000]!r}{' ...' if len(body) > 4000 else ''}\n{examine(body)}\n")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", metavar="SEED:INDEX")
    asked = parser.parse_args()
    if asked.replay:
        seed, _, index = asked.replay.partition(":")
        replay(int(seed), int(index))
        return 0
    start = time.perf_counter()
    found = campaign(asked.seed, asked.inputs, asked.jobs)
    _tell(asked.seed, found, time.perf_counter() - start)
    return 1 if found.failures else 0


def _tell(seed: int, found: Findings, seconds: float) -> None:
    lines = [f"{found.outcomes.total()} inputs in {seconds:.0f} s, seed {seed}"]
    lines += [f"{count:>10}  {outcome}" for outcome, count in found.outcomes.most_common()]
    lines.append(f"slowest: {found.slowest[0]:.2f} s, --replay {seed}:{found.slowest[1]}")
    for what, indexes in found.failures.items():
        lines.append(f"FOUND {what} ({len(indexes)} times)")
        lines += [f"    --replay {seed}:{index}" for index in sorted(indexes)[:SHOWN]]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
