"""What it costs to start: `vnsync --version` and `--help` beside an interpreter that imports click, in turn."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Collection

from benchmarks.measuring import run

COMMANDS = {
    "python -c 'import click'": ["-c", "import click"],
    "vnsync --version": ["-m", "etl", "--version"],
    "vnsync --help": ["-m", "etl", "--help"],
}


def start_up(cores: Collection[int] = (), rounds: int = 25) -> dict[str, list[float]]:
    """Seconds of each start."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, words in COMMANDS.items():
            taken[name].append(run([sys.executable, *words], {}, cores=cores).wall)
    return taken


def told(taken: dict[str, list[float]]) -> str:
    """The medians as a table, with their ratio to the first."""
    found = {name: statistics.median(seconds) for name, seconds in taken.items()}
    first = next(iter(found.values()))
    lines = ["| start | median | ratio |", "|---|---|---|"]
    lines += [f"| `{name}` | {seconds * 1000:.0f} ms | {seconds / first:.2f} x |" for name, seconds in found.items()]
    return "\n".join([*lines, ""])
