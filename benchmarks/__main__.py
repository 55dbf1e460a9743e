"""Measure vnsync beside a lean floor, dlt, ingestr and the bare download. Writes figures.json, table.md and chart.svg.

python -m benchmarks                                       100 000 numbers, both databases, three rounds
python -m benchmarks --numbers 10000 --rounds 1            a quick look
python -m benchmarks --only agency --rounds 3              200 customers, one by one and side by side
python -m benchmarks --only growth --numbers 1000000       a tenth and all; one account, a hundred
python -m benchmarks --only history --numbers 50000        365 days of 1 % changes behind it, and none
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import scenarios
from benchmarks.chart import chart
from benchmarks.databases import KINDS
from benchmarks.measuring import ROOT, machine, on_cores
from benchmarks.start_up import start_up
from benchmarks.start_up import told as told_start_up
from benchmarks.subjects import all_there
from benchmarks.table import medians, tables

SCENARIOS = ("beside", "agency", "growth", "history", "start-up")
DAYS = 365


def main(words: list[str]) -> None:
    """Run what is asked for; where subjects are pinned to cores, the sources and PostgreSQL have the others."""
    asked = _parsed(words)
    with on_cores(os.sched_getaffinity(0) - set(asked.cores) if asked.cores else ()):
        _measure(asked)


def _measure(asked: argparse.Namespace) -> None:
    results = scenarios.Results(defaultdict(list), lambda line: print(line, file=sys.stderr, flush=True), asked.cores)
    starts: dict[str, list[float]] = start_up(asked.cores) if "start-up" in asked.only else {}
    for kind in asked.databases:
        folder = Path(tempfile.mkdtemp(prefix="vnsync-bench-", dir=asked.work))
        try:
            with KINDS[kind](folder) as make:
                _run(asked, results, kind, make)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    _write(asked, results, starts)


def _parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--numbers", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--databases", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=["beside"], metavar="SCENARIO",
                        help=f"of {', '.join(SCENARIOS)}; default beside")  # fmt: skip
    parser.add_argument("--subjects", nargs="+", choices=list(all_there()), default=list(all_there()))
    parser.add_argument("--customers", type=int, default=scenarios.CUSTOMERS, help="of the agency")
    parser.add_argument("--days", type=int, default=DAYS, help="of history")
    parser.add_argument("--cores", type=int, nargs="+", default=[], metavar="CORE",
                        help="pin subjects to these, and the sources and PostgreSQL to the others")  # fmt: skip
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder for the figures")
    parser.add_argument("--work", type=Path, help="folder for the databases; default: the system's for temporary files")
    asked = parser.parse_args(words)
    if asked.cores and not set(asked.cores) < (there := os.sched_getaffinity(0)):
        parser.error(f"--cores: of {sorted(there)} at least one has to be left for the source")
    return asked


def _run(asked: argparse.Namespace, results: scenarios.Results, kind: str, make: Any) -> None:
    scenarios.warm_up(make, [all_there()[name] for name in asked.subjects])
    if "beside" in asked.only:
        subjects = [all_there()[name] for name in asked.subjects]
        scenarios.beside(results, asked.numbers, kind, make, subjects, asked.rounds)
    if "agency" in asked.only:
        scenarios.agency(results, kind, make, asked.rounds, customers=asked.customers)
    if "growth" in asked.only:
        scenarios.growth(results, asked.numbers, kind, make)
    if "history" in asked.only:
        scenarios.history(results, asked.numbers, asked.days, kind, make, asked.rounds)


def _write(asked: argparse.Namespace, results: scenarios.Results, starts: dict[str, list[float]]) -> None:
    here, today = machine(), time.strftime("%Y-%m-%d", time.gmtime())
    found = medians(results.figures)
    on = f"{today}, {here['cores']} cores, {here['memory_gib']} GiB, Python {here['python']}"
    if asked.cores:
        on += f"; subjects on core {' and '.join(map(str, asked.cores))} alone"
    text = f"Medians of {asked.rounds}, {on}.\n\n{tables(found)}" + (told_start_up(starts) if starts else "")
    asked.out.mkdir(parents=True, exist_ok=True)
    raw = [{"key": key, "rounds": [asdict(f) for f in rounds]} for key, rounds in results.figures.items()]
    written = {"date": today, "machine": here, "cores": asked.cores, "figures": raw, "start_up": starts}
    (asked.out / "figures.json").write_text(json.dumps(written, indent=1) + "\n")
    (asked.out / "table.md").write_text(text)
    if "beside" in asked.only:
        name = f"{asked.numbers} numbers"
        title = f"{asked.numbers:_} numbers in one account, whole process".replace("_", " ")
        (asked.out / "chart.svg").write_text(chart(found, name, f"{title} ({on})"))
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
