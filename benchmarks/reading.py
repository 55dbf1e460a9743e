"""How long questions take on a warehouse with a past, and what the database looks at for them.

Usage: python -m benchmarks.reading URL [--numbers N] [--days N] [--calls N] [--plans] [--build]
`--build` fills an empty database first (100 000 numbers, 100 days of 1 %). `--plans` prints each query's plan.
`--calls` joins so many synthetic calls to the campaign of their moment; every answer is compared with Python's own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from benchmarks.aged import build
from benchmarks.attribution import attribute
from etl.read.changes import TimeRange, count_changes
from etl.read.history import read_histories
from etl.snapshot.write import write_snapshot
from etl.store.engine import begin_reading, open_warehouse

QUERIES = {
    "number_assignments: a number": "select * from number_assignments where account_id = :a and virtual_number_id = :n",
    "number_assignments: a phone": "select * from number_assignments where virtual_phone_number = :p",
    "number_assignments: all": "select count(*), count(scenario_names) from number_assignments",
    "number_campaign_periods: a number": (
        "select * from number_campaign_periods where account_id = :a and virtual_number_id = :n"
    ),
    "number_campaign_periods: a phone": "select * from number_campaign_periods where virtual_phone_number = :p",
    "number_campaign_periods: all": "select count(*), max(campaign_name) from number_campaign_periods",
    "number_campaign_certainty: a number": (
        "select * from number_campaign_certainty where account_id = :a and virtual_number_id = :n"
    ),
    "number_campaign_certainty: a phone": "select * from number_campaign_certainty where virtual_phone_number = :p",
    "number_campaign_certainty: all": "select certainty, count(*) from number_campaign_certainty group by 1",
    "changes: the last day": "select * from changes where observed_at > :last",
    "changes: a day amid": "select * from changes where observed_at > :amid and observed_at <= :next",
    "changes: a number": "select * from changes where account_id = :a and virtual_number_id = :n",
    "what changed since amid, to follow": (
        "select * from virtual_numbers_history where account_id = :a and changed_at > :amid"
    ),
    "a table as of amid": (
        "select count(*), max(comment) from virtual_numbers_history"
        " where valid_from <= :amid and (valid_to is null or valid_to > :amid)"
    ),
}
"""Questions in SQL, by name."""


@dataclass(frozen=True)
class Sample:
    """What to ask about."""

    account: int
    number: int
    phone: str
    last: datetime
    amid: datetime
    following: datetime

    def parameters(self, engine: Engine) -> dict[str, Any]:
        """The queries' parameters, as the database takes them."""
        told: dict[str, Any] = {"last": self.last, "amid": self.amid, "next": self.following}
        if engine.name == "sqlite":
            told = {name: moment.strftime("%Y-%m-%d %H:%M:%S.%f") for name, moment in told.items()}
        return {"a": self.account, "n": self.number, "p": self.phone, **told}


def sample(engine: Engine) -> Sample:
    """A number that moved, and the last and a middle day."""
    with engine.connect() as connection:
        ask = connection.execute
        account = ask(text("select min(account_id) from accounts")).scalar_one()
        number = ask(text("select max(virtual_number_id) from virtual_number_campaigns_closed")).scalar_one()
        phone = "select virtual_phone_number from virtual_numbers where virtual_number_id = :n"
        days = [_instant(row[0]) for row in ask(text("select observed_at from account_syncs order by 1"))]
        half = len(days) // 2
        return Sample(
            account, number, ask(text(phone), {"n": number}).scalar_one(), days[-2], days[half], days[half + 1]
        )


def _instant(stored: Any) -> datetime:
    return stored if isinstance(stored, datetime) else datetime.fromisoformat(f"{stored}+00:00")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("url")
    for name, default in (("numbers", 100_000), ("days", 100), ("calls", 0)):
        asked.add_argument(f"--{name}", type=int, default=default)
    asked.add_argument("--plans", action="store_true")
    asked.add_argument("--build", action="store_true")
    options = asked.parse_args()
    engine = open_warehouse(options.url)
    if options.build:
        build(engine, options.numbers, options.days)
    about = sample(engine)
    for name, query in QUERIES.items():
        _ask(engine, name, query, about.parameters(engine), plans=options.plans)
    for name, work in _commands(engine, about).items():
        print(f"{name:40} {_seconds(work):8.3f} s", flush=True)
    if options.calls:
        attribute(engine, options.calls)


def _ask(engine: Engine, name: str, query: str, told: dict[str, Any], *, plans: bool) -> None:
    used = {key: value for key, value in told.items() if f":{key} " in f"{query.replace(')', ' ')} "}
    with engine.connect() as connection:
        rows = 0

        def read() -> None:
            nonlocal rows
            rows = len(connection.execute(text(query), used).all())

        print(f"{name:40} {_seconds(read):8.3f} s {rows:8} rows", flush=True)
        if plans:
            analyze = "(analyze, costs off, timing off)" if engine.name == "postgresql" else "query plan"
            for row in connection.execute(text(f"explain {analyze} {query}"), used):
                print("    ", row[-1])


def _seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """The best of some rounds: what the work takes when nothing else is in the way."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took)


def _commands(engine: Engine, about: Sample) -> dict[str, Callable[[], object]]:
    return {
        "history by phone": lambda: read_histories(engine, about.phone),
        "history by id": lambda: read_histories(engine, str(about.number)),
        "changes, totals of the last day": lambda: _count(engine, TimeRange(start=about.last)),
        "changes, totals of a day amid": lambda: _count(engine, TimeRange(start=about.amid, end=about.following)),
        "snapshot amid, ndjson": lambda: _snapshot(engine, about.amid, "ndjson"),
        "snapshot amid, csv": lambda: _snapshot(engine, about.amid, "csv"),
        "snapshot amid, parquet": lambda: _snapshot(engine, about.amid, "parquet"),
    }


def _count(engine: Engine, window: TimeRange) -> None:
    with begin_reading(engine) as connection:
        count_changes(connection, window)


def _snapshot(engine: Engine, moment: datetime, kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_snapshot(engine, moment + timedelta(seconds=1), Path(folder) / "out", (kind,))


if __name__ == "__main__":
    main()
