"""Snapshots of many days against the API's truth of each, as the tests' oracle judges: exact, with times and memory.

Usage: python -m benchmarks.snapshots URL [--numbers N] [--days N]     (URL: an empty database of yours)
"""

from __future__ import annotations

import argparse
import pickle
import resource
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from etl.sandbox.world import CustomerPlan, World
from etl.snapshot.check import check
from etl.snapshot.write import write_snapshot
from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.integration.test_snapshot import FORMATS, tables_of
from tests.support import oracle
from tests.support.rig import Rig


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("url")
    asked.add_argument("--numbers", type=int, default=20_000)
    asked.add_argument("--days", type=int, default=30)
    options = asked.parse_args()
    engine = open_warehouse(options.url)
    migrations.upgrade(engine)
    world = World(seed=8, customers=[CustomerPlan(numbers=options.numbers)], role="customer", id_step=7)
    rig = Rig(world, engine)
    with tempfile.TemporaryDirectory() as folder:
        days = [_live(rig, Path(folder) / f"truth{day}") for day in range(options.days)]
        for day, moment in enumerate(days):
            _judge(rig, moment, Path(folder), day)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(days)} days of {options.numbers} numbers: each snapshot equals its day's truth; {peak} MB at most")


def _live(rig: Rig, truth: Path) -> datetime:
    """A day: synced, its truth put aside; a moment of it."""
    assert rig.sync().exit_code == 0
    truth.write_bytes(pickle.dumps(oracle.expected(rig.world.truth(rig.only))))
    rig.world.pass_day(share=0.01)
    return rig.clock.now() + timedelta(hours=1)


def _judge(rig: Rig, moment: datetime, folder: Path, day: int) -> None:
    """The snapshot of the day, in one format after the other, against its truth and the warehouse."""
    kind, out = FORMATS[day % len(FORMATS)], folder / f"day{day}"
    start = time.perf_counter()
    write_snapshot(rig.engine, moment, out, (kind,))
    wrote = time.perf_counter()
    assert list(check(out, rig.engine).problems) == []
    checked = time.perf_counter()
    wanted = pickle.loads((folder / f"truth{day}").read_bytes())
    assert not oracle.differences(tables_of(out, rig.only, kind), wanted), (day, kind)
    print(f"day {day + 1}, {kind}: {wrote - start:.2f} s, checked in {checked - wrote:.2f} s", flush=True)


if __name__ == "__main__":
    main()
