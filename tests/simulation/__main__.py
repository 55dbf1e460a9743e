"""Command line: `python -m tests.simulation --seeds 10000 --jobs 2`, `--seed N --trace`, `--mutants`."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from tests.simulation.harness import Report
from tests.simulation.many_seeds import Summary, hunt, play_in_parallel
from tests.simulation.mutants import MUTANTS, SEEDS
from tests.simulation.seed import simulate
from tests.simulation.stage import Stage


def main() -> int:
    """Return 0 if no seed found a violation, or with `--mutants` if every mutant was found; else 1."""
    arguments = _arguments()
    if arguments.mutants is not None:
        simulated = [name for name, mutant in MUTANTS.items() if mutant.test is None]
        return _mutants(arguments.mutants or simulated, arguments.jobs)
    if arguments.seed is not None:
        return _one(arguments.seed, tuple(arguments.under), trace=arguments.trace)
    return _many(range(arguments.first, arguments.first + arguments.seeds), arguments.jobs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes play")
    parser.add_argument("--seed", type=int, help="play this seed only")
    parser.add_argument("--under", nargs="*", default=(), metavar="FAULT", help="with --seed: faults to be on")
    parser.add_argument("--trace", action="store_true", help="with --seed: every event")
    parser.add_argument("--mutants", nargs="*", metavar="NAME", help="plant these bugs, or all, one after the other")
    return parser.parse_args()


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _failed(report: Report) -> None:
    _tell(f"seed {report.seed} FAILED: {report.problems[0][:1000]}")
    _tell(f"  faults: {', '.join(report.faults) or 'none'}")
    _tell(f"  trace:  {report.digest}")
    _tell(f"  replay: {report.replay}")


def _one(seed: int, under: tuple[str, ...], *, trace: bool) -> int:
    stage = Stage()
    try:
        report = simulate(seed, stage, keep_trace=trace, under=under)
    finally:
        stage.close()
    for line in report.lines or ():
        _tell(line.encode("ascii", "backslashreplace").decode().replace("\n", " "))
    if report.problems:
        _failed(report)
        return 1
    _tell(f"seed {seed}: no violation, faults {', '.join(report.faults) or 'none'}, trace {report.digest}")
    return 0


def _many(seeds: range, jobs: int) -> int:
    total, start = Summary(), time.monotonic()
    for part in play_in_parallel(seeds, jobs):
        total.merge(part)
        for report in part.failed:
            _failed(report)
        if total.seeds % 1000 == 0:
            _tell(f"{total.seeds} seeds, {len(total.failed)} failed, {time.monotonic() - start:.0f} s")
    for name, counts in (("struck", total.struck), ("happened", total.counts)):
        _tell(f"{name}: {', '.join(f'{key} {count}' for key, count in sorted(counts.items()))}")
    seconds = time.monotonic() - start
    _tell(f"{total.seeds} seeds, {len(total.failed)} violations, {seconds:.0f} s, {total.cpu:.0f} s of processor time")
    return 1 if total.failed else 0


def _mutants(names: list[str], jobs: int) -> int:
    alive = []
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for result in pool.imap(hunt, names):
            if result.found is None:
                alive.append(result.name)
                _tell(f"{result.name}: SURVIVED {result.seeds} seeds: {MUTANTS[result.name].stands_for}")
            else:
                _tell(f"{result.name}: seed {result.found.seed}: {result.found.problems[0][:150]}")
    _tell(f"{len(names)} mutants, {len(alive)} survived {SEEDS} seeds")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
