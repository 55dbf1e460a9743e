"""Replays of the archived days of a made-up account, on the same and on the other database, with a comparison.

    python -m tests.stress.replays --numbers 20000 --days 30          both databases, both ways
    python -m tests.stress.replays --numbers 100000 --days 2          time and memory of a large account

Every replay must give the same chain heads and, for every day, the same files of `vnsync snapshot`. Times and memory
are those of the whole process `vnsync replay`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from etl.sandbox.world import CustomerPlan, World
from etl.snapshot.write import write_snapshot
from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.stress.clusters import cluster
from tests.support.checkout import ROOT
from tests.support.rig import Rig

DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Replay:
    """Result of one replay: whole seconds of the process, its peak memory in MB, and its output."""

    seconds: float
    megabytes: float
    told: dict[str, Any]


def lived(url: str, archive: Path, numbers: int, days: int, share: float) -> tuple[Rig, list[datetime]]:
    """A warehouse after `days` days with an archive, and the moments of its observations."""
    engine = open_warehouse(url)
    migrations.upgrade(engine)
    world = World(seed=11, customers=[CustomerPlan(numbers=numbers)], role="customer", id_step=37)
    rig = Rig(world, engine, archive=archive)
    moments = []
    for _ in range(days):
        result = rig.sync()
        observed_at = result.accounts[0].observed_at
        assert observed_at is not None, result.error
        moments.append(observed_at)
        rig.world.pass_day(share=share)
    return rig, moments


def replayed(archive: Path, url: str) -> Replay:
    """Run `vnsync replay` in its own process."""
    words = [sys.executable, "-m", "etl", "replay", str(archive), "--database-url", url, "--output", "json"]
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, out
    return Replay(time.monotonic() - started, usage.ru_maxrss / 1024, json.loads(out))


def same_snapshots(one: str, other: str, moments: list[datetime], folder: Path) -> int:
    """The count of days whose snapshots are byte for byte equal in two warehouses."""
    alike = 0
    for number, moment in enumerate(moments):
        files = []
        for name, url in (("one", one), ("other", other)):
            out = folder / f"{number}-{name}"
            write_snapshot(open_warehouse(url), moment, out, ("ndjson",))
            files.append({p.name: p.read_bytes() for p in sorted(out.iterdir())})
        alike += files[0] == files[1]
        subprocess.run(["rm", "-r", str(folder / f"{number}-one"), str(folder / f"{number}-other")], check=True)
    return alike


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--share", type=float, default=0.02, help="of the numbers that change in a day")
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    parser.add_argument("--snapshots", type=int, default=1, help="compare every n-th day; 0: none")
    args = parser.parse_args(arguments)
    chosen = args.database or list(DATABASES)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="vnsync-replays-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        server = stack.enter_context(cluster(folder / "postgresql")) if "postgresql" in chosen else None

        def new(database: str, name: str) -> str:
            if database == "postgresql" and server is not None:
                return server.new()
            return f"sqlite:///{folder / name}.db"

        for source in chosen:
            url, archive = new(source, f"lived-{source}"), folder / f"archive-{source}"
            started = time.monotonic()
            _, moments = lived(url, archive, args.numbers, args.days, args.share)
            size = sum(p.stat().st_size for p in archive.rglob("*") if p.is_file())
            print(
                f"{source}: {args.days} days of {args.numbers} numbers in {time.monotonic() - started:.0f} s,", end=" "
            )
            print(f"archive of {size / 2**20:.1f} MB", flush=True)
            for target in chosen:
                again = new(target, f"again-{source}-{target}")
                done = replayed(archive, again)
                (account,) = done.told["accounts"]
                heads = account["chain_digest"] == account["archived_digest"] is not None
                days = moments[:: args.snapshots] if args.snapshots else []
                alike = same_snapshots(url, again, days, folder)
                wrong += not heads or alike != len(days)
                print(f"  replayed into {target}: {done.seconds:.1f} s, {done.megabytes:.0f} MB, head", end=" ")
                print(f"{'the same' if heads else 'ANOTHER'}, {alike} of {len(days)} snapshots the same", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
