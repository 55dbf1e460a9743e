"""One process from start to end: how long it took, what it used, and what it made the database do."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MEMORY = 2**20 / 1024
"""`ru_maxrss` is in KiB here; figures are in MiB."""
LOOK_EVERY = 0.02
"""Seconds between two looks at what memory a process and its children hold."""
REST = 20
"""How many times as long as a look took we wait before the next one, so that looking costs next to nothing."""
HELD = re.compile(r"^(?:VmRSS|Private_\w+):\s+(\d+)", re.MULTILINE)
"""What /proc tells of a process's memory: all of it in `status`, its own in `smaps_rollup`."""
BLOCK = 512
"""Bytes of a block in `ru_oublock`."""
INSTALLED = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""The environment of an installed program: modules are compiled once (see `scenarios.warm_up`), not at every start."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one process cost. Seconds, MiB, rows, MB; None where it cannot be told.

    `cpu` and `memory` count the process and its descendants (memory: what all held at one moment), `server_cpu` the
    database server meanwhile; `rows` are those that the server inserted, updated and deleted, `written` its write-ahead
    log, or what the process wrote to disk; `size` is that of the database afterwards.
    """

    wall: float
    cpu: float
    memory: float
    server_cpu: float | None = None
    rows: int | None = None
    written: float | None = None
    size: float | None = None


@dataclass(frozen=True)
class Counters:
    """What a database has done since it was made: processor seconds, rows written, bytes of log written."""

    cpu: float = 0.0
    rows: int = 0
    log: int = 0


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    counters: Callable[[], Counters] | None = None,
    cores: Collection[int] = (),
) -> Figures:
    """Run a process to its end, on these cores or any. Raises `RuntimeError` with what it said when it fails.

    This process has to be small: a child's peak of memory is never told to be below its parent's.
    """
    before = counters() if counters else None
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        with on_cores(cores):
            process = subprocess.Popen(
                command, env={**INSTALLED, **environment}, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
            )
        with _peak_of(process.pid) as peak:
            _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command[:6])}: exit {process.returncode}\n{said.read().decode()[-3000:]}")
    own: dict[str, Any] = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "memory": 0.0}
    own["memory"] = max(used.ru_maxrss, *peak) / MEMORY
    if before is None or counters is None:
        return Figures(**own, written=used.ru_oublock * BLOCK / 1e6)
    after = counters()
    return Figures(
        **own, server_cpu=after.cpu - before.cpu, rows=after.rows - before.rows, written=(after.log - before.log) / 1e6
    )


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Processes and threads that are started meanwhile stay on these cores; with none named, where this one is."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _peak_of(pid: int) -> Iterator[list[int]]:
    """The most that a process and all its descendants held at one moment, in KiB, as far as was looked at."""
    peak = [0]
    ended = threading.Event()

    def look() -> None:
        pause, known = LOOK_EVERY, set[str]()
        while not ended.wait(pause):
            start = time.thread_time()
            family = dict(_family(str(pid)))
            # What starts a program is for a moment a fork with all of its parent's memory: a fork counts once it lasts.
            held = [_held(one, forked=forked) for one, forked in family.items() if not forked or one in known]
            peak[0], known = max(peak[0], sum(held)), set(family)
            pause = max(LOOK_EVERY, REST * (time.thread_time() - start))

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield peak
    finally:
        ended.set()
        watch.join()


def _family(pid: str, parent: bytes | None = None) -> Iterator[tuple[str, bool]]:
    """A process and its descendants, each with whether it was only forked; `parent`: the command of its parent."""
    with suppress(OSError):  # it has just ended
        own = Path(f"/proc/{pid}/cmdline").read_bytes()
        yield pid, own == parent
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(child, own)


def _held(pid: str, *, forked: bool) -> int:
    """KiB that a process holds; of one that was only forked, without what it shares with its parent."""
    with suppress(OSError):  # it has just ended
        text = Path(f"/proc/{pid}/{'smaps_rollup' if forked else 'status'}").read_text()
        return sum(int(kib) for kib in HELD.findall(text))
    return 0


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
