"""Fleets: several processes, each with a shard of an agency, under one limit of the points of a minute or of a day.

Usage: python -m tests.stress.fleet --database sqlite|postgresql [--processes 1 4 8 16] [--customers 60] [--numbers 5]
       [--limit minute|day] [--points 20] [--share yes no]

Prints for each fleet: requests, refused ones, those that listed numbers, the customers published, seconds. A minute
takes `--minute` seconds here; nothing else is scaled.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from etl.sandbox.api import Api
from etl.sandbox.limits import Limits
from etl.sandbox.server import serve
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.stress.clusters import cluster
from tests.support.running import TOKEN, command, environment

LISTING = "get.virtual_numbers"


class Refusals(Limits):
    """Limits that count the calls they refuse."""

    refused = 0

    def check(self) -> None:
        """Count the refusals."""
        try:
            super().check()
        except Exception:
            self.refused += 1
            raise


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Results of a fleet. `listed`: the count of points spent on listings."""

    processes: int
    share: str
    codes: Counter[int]
    requests: int
    refused: int
    listed: int
    published: int
    seconds: float
    cpu: float

    @property
    def line(self) -> str:
        """The figures in one line."""
        spent = max(1, self.requests - self.refused)
        return (
            f"{self.processes:2} processes, share {self.share:3}: {self.requests} requests, {self.refused} refused,"
            f" {100 * self.listed / spent:.0f} % of the points for listings, {self.published} customers published,"
            f" {self.seconds:.1f} s ({self.cpu:.1f} s of processor time), exit codes {dict(sorted(self.codes.items()))}"
        )


def run(
    url: str, processes: int, share: str, *, customers: int, limits: Refusals, folder: Path, numbers: int = 5
) -> Fleet:
    """Start one process for each shard at once, on a warehouse with a schema, and wait for all of them."""
    world = World(seed=1, customers=[CustomerPlan(numbers=numbers)] * customers)
    api = Api(world, token=TOKEN)
    api.limits = limits
    key = folder / "key"
    key.write_text(TOKEN)
    key.chmod(0o600)
    with serve(api) as server:
        where = ("--api-url", server.url, "--api-token-file", key, "--share-points", share, "--retry-max-seconds", 600)
        started, before = time.monotonic(), os.times()
        running = [
            subprocess.Popen(
                command("sync", "--shard", f"{k}/{processes}", "-q", "--output", "json", "--brief", *where),
                env=environment() | {"VNSYNC_DATABASE_URL": url},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for k in range(1, processes + 1)
        ]
        codes = Counter(process.wait() for process in running)
        seconds, after = time.monotonic() - started, os.times()
    with open_warehouse(url).connect() as connection:
        published = connection.scalar(text("select count(distinct account_id) from virtual_numbers")) or 0
    return Fleet(
        processes=processes,
        share=share,
        codes=codes,
        requests=len(api.requests),
        refused=limits.refused,
        listed=api.count(LISTING) - limits.refused,
        published=published,
        seconds=seconds,
        cpu=after.children_user + after.children_system - before.children_user - before.children_system,
    )


@contextmanager
def warehouses(database: str, folder: Path) -> Iterator[Iterator[str]]:
    """URLs of new warehouses with a schema, one after the other."""

    def migrated(urls: Iterator[str]) -> Iterator[str]:
        for url in urls:
            engine = open_warehouse(url)
            migrations.upgrade(engine)
            engine.dispose()
            yield url

    if database == "sqlite":
        yield migrated(f"sqlite:///{folder}/w{n}.db" for n in range(10**6))
        return
    with cluster(folder / "pg") as server:
        yield migrated(server.new() for _ in range(10**6))


def limits_of(kind: str, points: int, minute: int) -> Refusals:
    """A limit of the minute, which lasts `minute` seconds here, or of the day."""
    if kind == "day":
        return Refusals(time.time, None, points)
    made = Refusals(time.time, points, None)
    made._windows[1].seconds = minute
    return made


def main() -> None:
    """Parse the arguments, run the fleets, print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 4, 8, 16])
    parser.add_argument("--customers", type=int, default=60)
    parser.add_argument("--numbers", type=int, default=5, help="of each customer")
    parser.add_argument("--limit", choices=["minute", "day"], default="minute")
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--minute", type=int, default=6, help="seconds of a minute")
    parser.add_argument("--share", nargs="*", choices=["yes", "no"], default=["yes", "no"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, warehouses(given.database, Path(name)) as urls:
        os.chmod(name, 0o755)
        for processes in given.processes:
            for share in given.share:
                limits = limits_of(given.limit, given.points, given.minute)
                fleet = run(
                    next(urls),
                    processes,
                    share,
                    customers=given.customers,
                    limits=limits,
                    folder=Path(name),
                    numbers=given.numbers,
                )
                sys.stdout.write(f"{fleet.line}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
