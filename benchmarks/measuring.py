"""One process from start to end: how long it took, what it used, and what it made the database do."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MEMORY = 2**20 / 1024
"""`ru_maxrss` is in KiB here; figures are in MiB."""
LOOK_EVERY = 0.02
"""Seconds between two looks at what memory the children have taken."""
BLOCK = 512
"""Bytes of a block in `ru_oublock`."""
INSTALLED = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""The environment of an installed program: modules are compiled once (see `scenarios.warm_up`), not at every start."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one process cost. Seconds, MiB, rows, MB; None where it cannot be told.

    `cpu` and `memory` count the process and its children, `server_cpu` the database server meanwhile; `rows` are those
    that the server inserted, updated and deleted, `written` its write-ahead log, or what the process wrote to disk.
    """

    wall: float
    cpu: float
    memory: float
    server_cpu: float | None = None
    rows: int | None = None
    written: float | None = None


@dataclass(frozen=True)
class Counters:
    """What a database has done since it was made: processor seconds, rows written, bytes of log written."""

    cpu: float = 0.0
    rows: int = 0
    log: int = 0


def run(
    command: Sequence[str], environment: Mapping[str, str], counters: Callable[[], Counters] | None = None
) -> Figures:
    """Run a process to its end. Raises `RuntimeError` with what it said when it fails.

    This process has to be small: a child's peak of memory is never told to be below its parent's.
    """
    before = counters() if counters else None
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, env={**INSTALLED, **environment}, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
        )
        with _peaks_of(process.pid) as peaks:
            _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command[:6])}: exit {process.returncode}\n{said.read().decode()[-3000:]}")
    own: dict[str, Any] = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "memory": 0.0}
    own["memory"] = max(used.ru_maxrss, sum(peaks.values())) / MEMORY
    if before is None or counters is None:
        return Figures(**own, written=used.ru_oublock * BLOCK / 1e6)
    after = counters()
    return Figures(
        **own, server_cpu=after.cpu - before.cpu, rows=after.rows - before.rows, written=(after.log - before.log) / 1e6
    )


@contextmanager
def _peaks_of(pid: int) -> Iterator[dict[str, int]]:
    """The peaks of memory of a process and its children, in KiB by process id: to be added, as if all came at once."""
    peaks: dict[str, int] = {}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY):
            with suppress(OSError, IndexError):  # one of them has just ended
                for one in [str(pid), *_children(pid)]:
                    peaks[one] = int(Path(f"/proc/{one}/status").read_text().split("VmHWM:")[1].split()[0])

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield peaks
    finally:
        ended.set()
        watch.join()


def _children(pid: int) -> Iterator[str]:
    """Children that are programs of their own: what was only forked shares its parent's memory."""
    own = Path(f"/proc/{pid}/cmdline").read_bytes()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if Path(f"/proc/{child}/cmdline").read_bytes() not in (own, b""):
                yield child


def median(figures: Sequence[Figures]) -> Figures:
    """The median of each figure by itself."""
    found: dict[str, Any] = {}
    for field in fields(Figures):
        values = [v for f in figures if (v := asdict(f)[field.name]) is not None]
        found[field.name] = statistics.median(values) if values else None
    return Figures(**found)


def machine() -> dict[str, Any]:
    """The size of this machine, and nothing that names it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": os.cpu_count(), "memory_gib": round(memory), "python": sys.version.split()[0]}
