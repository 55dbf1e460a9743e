"""Single mutations of a warehouse, one after the other, each of which `verify --head` must find and name.

Usage: python -m campaigns.mutations [--count 10000] [--database sqlite|postgresql] [--seed 1]

A small agency is synced for some days. Then, again and again, one row of one table is edited (any column), deleted or
added (a copy with another key), the warehouse is verified with the heads that were kept, and the mutation is rolled
back. What the database itself refuses does not count. Exit 1 when one was not found, or its table or row not named.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Engine, Row, Table, Text, and_, delete, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from campaigns.clusters import Cluster
from etl.read.verify.warehouse import KeptHead, verify_connection
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations, schema
from etl.store.engine import open_warehouse
from etl.store.types import UtcDateTime

SEALED = ("run_id", "account_id", "status", "observed_at", "account_name", "timezone", "chain_digest", "rows_opened",
          "rows_closed")  # fmt: skip
"""The columns of `account_syncs` that are evidence; the others tell how the reading went."""
TABLES: list[Table] = [*schema.current.values(), *schema.closed.values(), schema.accounts, schema.account_syncs]
KINDS = ("edit", "edit", "edit", "delete", "insert")
SHOWN = 10


@dataclass(frozen=True)
class Mutation:
    """One statement: what it does to which row of which table. `key`: the row's primary key, before an edit."""

    kind: str
    table: Table
    key: dict[str, Any]
    change: dict[str, Any]

    def statement(self) -> Any:
        """As SQL."""
        if self.kind == "insert":
            return insert(self.table).values(self.change)
        where = and_(*(self.table.c[name] == value for name, value in self.key.items()))
        return delete(self.table).where(where) if self.kind == "delete" else update(self.table).where(where).values(
            self.change
        )  # fmt: skip

    def __str__(self) -> str:
        changed = {k: v for k, v in self.change.items() if self.kind == "edit" or k in self.key}
        return f"{self.kind} {self.table.name} {self.key} {changed}"


@dataclass
class Findings:
    """What came of the mutations."""

    tried: int = 0
    refused: int = 0
    found: int = 0
    table_named: int = 0
    row_named: int = 0
    by_table: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


class Mutator:
    """Draws mutations of a warehouse's rows."""

    def __init__(self, connection: Connection, dice: random.Random) -> None:
        self._dice = dice
        self._rows = {t.name: list(connection.execute(select(t))) for t in TABLES}

    def draw(self) -> Mutation:
        """One mutation that changes something."""
        table = self._dice.choice([t for t in TABLES if self._rows[t.name]])
        row = self._dice.choice(self._rows[table.name])
        kind = self._dice.choice(KINDS)
        key = {c.name: row._mapping[c.name] for c in table.primary_key}
        if kind == "edit":
            names = SEALED if table is schema.account_syncs else table.columns.keys()
            column = table.c[self._dice.choice(list(names))]
            return Mutation(kind, table, key, {column.name: self._other(table, column, row)})
        return Mutation(kind, table, key, {} if kind == "delete" else self._copy(table, row))

    def _copy(self, table: Table, row: Row[Any]) -> dict[str, Any]:
        copy = dict(row._mapping)
        for column in self._dice.sample(list(table.primary_key), self._dice.randint(1, len(table.primary_key))):
            copy[column.name] = self._other(table, column, row)
        return copy

    def _other(self, table: Table, column: Column[Any], row: Row[Any]) -> Any:
        """A value that the row does not have: made up, or another row's."""
        now = row._mapping[column.name]
        for _ in range(20):
            value = self._dice.choice(self._rows[table.name])._mapping[column.name]
            if self._dice.random() < 0.7 or value == now:
                value = self._made_up(column, now)
            if value != now:
                return value
        raise AssertionError(f"no other value for {table.name}.{column.name}")

    def _made_up(self, column: Column[Any], now: Any) -> Any:
        if column.nullable and now is not None and self._dice.random() < 0.2:
            return None
        if isinstance(column.type, Boolean):
            return not now
        if isinstance(column.type, UtcDateTime):
            return self._moment(now)
        if isinstance(column.type, Text) and column.name == "extra":
            return '{"forged": true}'
        if isinstance(column.type, JSONB):
            return {"forged": True}
        if isinstance(column.type, Text):
            return self._dice.choice(["forged", (now or "") + " ", (now or "x").swapcase() + "\t", "\\N", ""])
        return (now or 0) + self._dice.choice([-1, 1, 7, 10_000])

    def _moment(self, now: datetime) -> datetime:
        return now + self._dice.choice([-1, 1]) * self._dice.choice([timedelta(microseconds=1), timedelta(days=1)])


def days(engine: Engine) -> list[KeptHead]:
    """A small agency's first five days; the heads of its accounts."""
    from tests.rig import Rig

    plans = [CustomerPlan(numbers=25), CustomerPlan(numbers=8)]
    world = World(seed=7, customers=plans, role="agent")
    rig = Rig(world, engine)
    for _ in range(5):
        run = rig.sync()
        world.pass_day(share=0.15)
    rig.sync()
    run = rig.sync()
    return [(a.account_id, a.chain_digest or "") for a in run.accounts]


def mutate(engine: Engine, heads: list[KeptHead], count: int, seed: int) -> Findings:
    """Try so many mutations that the database takes; everything is rolled back."""
    findings = Findings()
    with engine.connect() as connection:
        sound = verify_connection(connection, heads, lambda _: None)
        assert sound.ok, sound.problems
        mutator = Mutator(connection, random.Random(seed))
        while findings.tried < count:
            _try(connection, mutator.draw(), heads, findings)
    return findings


def _try(connection: Connection, mutation: Mutation, heads: list[KeptHead], findings: Findings) -> None:
    savepoint = connection.begin_nested()
    try:
        connection.execute(mutation.statement())
    except DBAPIError:
        findings.refused += 1
        savepoint.rollback()
        return
    verdict = verify_connection(connection, heads, lambda _: None)
    savepoint.rollback()
    findings.tried += 1
    findings.by_table[mutation.table.name] += 1
    findings.found += not verdict.ok
    if verdict.ok:
        findings.missed.append(str(mutation))
        return
    base = mutation.table.name.removesuffix("_closed")
    about = [p for p in verdict.problems if p.table and p.table.removesuffix("_closed") == base]
    findings.table_named += bool(about)
    rows = [*_named_rows(mutation)]
    named = any(p.key and any(f"{row},".startswith(f"{p.key},") for row in rows) for p in about)
    findings.row_named += named
    if not named:
        findings.unnamed.append(f"{mutation}: {[(p.table, p.key, p.what) for p in verdict.problems[:3]]}")


def _named_rows(mutation: Mutation) -> Iterator[str]:
    """The row's key as problems spell it, before and after."""
    names = [n for n in mutation.key if n not in ("account_id", "valid_from")] or ["account_id"]
    if mutation.table is schema.account_syncs:
        names = ["run_id"]
    for values in (mutation.key, {**mutation.key, **mutation.change}):
        yield ", ".join(f"{name} {values[name]}" for name in names)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, warehouse_in(given.database, Path(folder)) as engine:
        start = time.monotonic()
        findings = mutate(engine, days(engine), given.count, given.seed)
        engine.dispose()
    told = f"{findings.found} of {findings.tried} mutations found, the table named in {findings.table_named}"
    print(f"{given.database}: {told}, the row in {findings.row_named}, in {time.monotonic() - start:.0f} s")
    print(f"{findings.refused} more were refused by the database itself; of the others: {dict(findings.by_table)}")
    for line in [*findings.missed[:SHOWN], *findings.unnamed[:SHOWN]]:
        print(f"  {line}")
    return 0 if findings.found == findings.row_named == findings.tried else 1


@contextmanager
def warehouse_in(database: str, folder: Path) -> Iterator[Engine]:
    """A new warehouse: a file in the folder, or a database of a cluster there."""
    with ExitStack() as cleanup:
        url = f"sqlite:///{folder / 'warehouse.db'}"
        if database == "postgresql":
            cluster = Cluster(folder / "cluster")
            cleanup.callback(cluster.close)
            url = cluster.new()
        engine = open_warehouse(url)
        migrations.upgrade(engine)
        yield engine


if __name__ == "__main__":
    sys.exit(main())
