"""What enforcing the declared foreign keys would cost PostgreSQL on a first load.

Usage: python -m benchmarks.foreign_keys URL [NUMBERS] [ROUNDS]     (URL: an empty PostgreSQL database of yours)

Loads the same account in turn with and without the keys (deferred to the commit, their cheapest form), and prints the
wall seconds of the sync, the medians and their ratio. The source is the sandbox in this process, the same for both.
"""

from __future__ import annotations

import statistics
import sys
import time

from sqlalchemy import Engine

from benchmarks import aged
from etl.clock import SystemClock
from etl.domain.tables import BY_NAME, TABLES
from etl.sandbox.api import Api
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.store.engine import open_warehouse


def declare(engine: Engine) -> None:
    """Add every declared reference as an enforced foreign key."""
    with engine.begin() as connection:
        for table in TABLES:
            for reference in table.references:
                columns = ", ".join(("account_id", *reference.columns))
                target = ", ".join(("account_id", *BY_NAME[reference.table].key_names))
                connection.exec_driver_sql(
                    f"alter table {table.name} add foreign key ({columns}) references {reference.table} ({target})"
                    " deferrable initially deferred"
                )


def first_load(engine: Engine, api: Api, *, keys: bool) -> float:
    """Seconds that a first load takes on a new schema."""
    with engine.begin() as connection:
        connection.exec_driver_sql("drop schema public cascade; create schema public")
    migrations.upgrade(engine)
    if keys:
        declare(engine)
    start = time.perf_counter()
    aged.first_load(engine, api, SystemClock())
    return time.perf_counter() - start


def main(url: str, numbers: int = 100_000, rounds: int = 3) -> None:
    world = World(seed=1, customers=[CustomerPlan(numbers=numbers)], role="customer", id_step=37)
    api = Api(world, token="benchmark-token")
    engine = open_warehouse(url)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for keys in (False, True):
            seconds[keys].append(first_load(engine, api, keys=keys))
            print(f"keys {'enforced' if keys else 'not declared'}: {seconds[keys][-1]:.2f} s", flush=True)
    without, enforced = (statistics.median(seconds[k]) for k in (False, True))
    print(f"{numbers} numbers: {without:.2f} s without, {enforced:.2f} s enforced, ratio {enforced / without:.2f}")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]))
