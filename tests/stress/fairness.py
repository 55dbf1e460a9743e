"""Fairness: an agency whose points of a day do not suffice for all customers, over some days, in simulated time.

Usage: python -m tests.stress.fairness [--customers 60] [--points 42] [--days 5]

Prints for each day how many customers were never observed until then.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator

from etl.errors import VnsyncError
from etl.sandbox.api import Api
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.support.rig import TOKEN, Rig

DAY = 86_400
OBSERVED = "select distinct account_id from account_syncs where observed_at is not null"


def never_observed(customers: int, points: int, days: int) -> Iterator[int]:
    """After each day, the number of customers that no sync has observed. `points`: limit of a day."""
    engine = open_warehouse("sqlite://")
    migrations.upgrade(engine)
    rig = Rig(World(seed=8, customers=[CustomerPlan(numbers=4)] * customers, id_step=5), engine)
    for _ in range(days):
        rig.api = Api(rig.world, token=TOKEN, now=lambda: rig.clock.time.timestamp(), day_limit=points)
        with contextlib.suppress(VnsyncError):  # the points ended
            rig.sync(concurrency=1)
        rig.clock.pass_time(DAY)
        yield customers - len(rig.rows(OBSERVED))


def main(words: list[str]) -> None:
    """Print the figures of each day."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=60)
    parser.add_argument("--points", type=int, default=42)
    parser.add_argument("--days", type=int, default=5)
    asked = parser.parse_args(words)
    for day, count in enumerate(never_observed(asked.customers, asked.points, asked.days), start=1):
        print(f"day {day}: {count} of {asked.customers} customers never observed")


if __name__ == "__main__":
    main(sys.argv[1:])
