"""Tamperings with a warehouse, one at a time, each of which `verify --head` must find and name.

Usage: python -m tests.stress.tampering [--count 10000] [--database sqlite|postgresql] [--seed 1]

A small agency is synced for some days: the source reports more fields from the second day on; a record is
quarantined, an account is held, another fails, and a number is erased. Then, again and again, something is changed: a
value, its type, null for an empty value, an instant by a microsecond, the account of a row; a row is deleted or
added; an account is removed, added or given another id. The warehouse is verified with the kept heads, and the
change is rolled back. A change that the database itself refuses does not count; SQLite's CHECKs are switched off,
as any program that writes to the file can do. Exit 1 when a tampering was not found although docs/chain.md does not
list it as unsealed, or when its table or row was not named.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import ClauseElement, Connection, Engine
from sqlalchemy.exc import DBAPIError

from etl.domain.chain import moment
from etl.domain.verification import Problem, Verdict
from etl.erasure.warehouse import erase_number
from etl.sandbox import faults
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.store.engine import open_warehouse
from etl.verify.warehouse import KeptHead, verify_connection
from tests.stress.clusters import Cluster
from tests.stress.tampering_kinds import Tamperer, Tampering
from tests.support.rig import Rig

SHOWN = 10
TOLD_BY = {
    "erasures": {"virtual_numbers"},
    "quarantine": {"account_syncs"},
    "sync_runs": {"account_syncs"},
    "chain_sections": {"account_syncs"},
    "account_syncs": {"accounts"},
}
"""Tables whose rows are named instead when two rows disagree, by table."""


@dataclass
class Findings:
    """Results of the tamperings."""

    tried: int = 0
    refused: int = 0
    found: int = 0
    named: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    unsealed: Counter[str] = field(default_factory=Counter)
    """Tamperings that were not found and that docs/chain.md lists, by place."""
    missed: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)

    def take(self, tampering: Tampering, verdict: Verdict, *, sealed: bool) -> None:
        """Count one tampering."""
        self.tried += 1
        self.by_kind[tampering.kind] += 1
        self.found += not verdict.ok
        if verdict.ok and sealed:
            self.missed.append(str(tampering))
        elif verdict.ok:
            self.unsealed[tampering.place] += 1
        elif any(_names(problem, tampering) for problem in verdict.problems):
            self.named += 1
        else:
            told = [(p.table, p.key, p.account_id, p.what) for p in verdict.problems[:3]]
            self.unnamed.append(f"{tampering}: {told}")


def _names(problem: Problem, tampering: Tampering) -> bool:
    """Whether a problem names the table and the row (before or after), or the account that was tampered with."""
    if tampering.kind == "account":
        return str(problem.account_id) in map(str, tampering.accounts)
    base = tampering.table.name.removesuffix("_closed")
    if (problem.table or "").removesuffix("_closed") not in {base} | TOLD_BY.get(base, set()):
        return False
    return any(_is_of(problem, row) for row in (tampering.row, {**tampering.row, **tampering.after}))


def _is_of(problem: Problem, row: dict[str, object]) -> bool:
    """Whether the problem's key agrees with the row in every column that it has."""
    words = [part.rsplit(" ", 1) for part in (problem.key or "").split(", ")]
    said = {word[0]: word[1] for word in words if len(word) == 2 and word[0] in row}
    said |= {"account_id": str(problem.account_id)} if problem.account_id and not said else {}
    return bool(said) and all(_spelt(row[name]) in (value, None) for name, value in said.items())


def _spelt(value: object) -> str | None:
    """A stored value as problems spell it; None if only the database knows it."""
    if isinstance(value, ClauseElement):
        return None
    return moment(value) if isinstance(value, datetime) else str(value)


def days(engine: Engine) -> list[KeptHead]:
    """Make a small agency's first days, with all kinds of rows. Returns the heads of its accounts."""
    plans = [CustomerPlan(numbers=25), CustomerPlan(numbers=8, users=2), CustomerPlan(numbers=4)]
    world = World(seed=7, customers=plans, role="agent", edition="older")
    rig = Rig(world, engine)
    for _ in range(5):
        rig.sync()
        world.edition = "newer"
        world.pass_day(share=0.15)
    _trouble(rig, world)
    first = world.customer_ids[0]
    world.rename_site(first, world.site_ids(first)[0], "renamed.example")
    rig.sync()
    _erase(rig)
    run = rig.sync()
    return [(a.account_id, a.chain_digest or "") for a in run.accounts]


def _trouble(rig: Rig, world: World) -> None:
    """Make one run in which an account is held, another fails, and a record of the third is quarantined."""
    first, second, third = world.customer_ids
    record = world.truth(first)[0]
    world.put_raw(first, record["id"], json.dumps(record | {"status": 5}).encode())
    users = world.user_ids(second)
    rig.api.faults.add(faults.NoRows(), times=None, when=lambda request: request.params.get("user_id") in users)
    world.block(third)
    rig.sync()
    world.clear_raw(first)
    rig.api.faults.clear()
    world.unblock(third)


def _erase(rig: Rig) -> None:
    """Erase a number that has closed versions."""
    number = rig.rows("select virtual_number_id, account_id from virtual_numbers_closed order by 2, 1 limit 1")[0]
    erase_number(rig.engine, number.account_id, number.virtual_number_id, now=rig.clock.now(), reason="asked for")


def mutate(engine: Engine, heads: list[KeptHead], count: int, seed: int) -> Findings:
    """Try `count` tamperings that the database accepts; each is rolled back."""
    findings = Findings()
    with engine.connect() as connection:
        if engine.name == "sqlite":
            connection.exec_driver_sql("pragma ignore_check_constraints = on")
        sound = verify_connection(connection, heads, lambda _: None)
        assert sound.ok, sound.problems
        tamperer = Tamperer(connection, random.Random(seed))
        while findings.tried < count:
            _try(connection, tamperer, heads, findings)
    return findings


def _try(connection: Connection, tamperer: Tamperer, heads: list[KeptHead], findings: Findings) -> None:
    tampering = tamperer.draw()
    savepoint = connection.begin_nested()
    try:
        for statement in tampering.statements:
            connection.execute(statement)
    except DBAPIError:
        findings.refused += 1
        savepoint.rollback()
        return
    verdict = verify_connection(connection, heads, lambda _: None)
    savepoint.rollback()
    findings.take(tampering, verdict, sealed=not tamperer.is_unsealed(tampering))


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, warehouse_in(given.database, Path(folder)) as engine:
        start = time.monotonic()
        findings = mutate(engine, days(engine), given.count, given.seed)
        engine.dispose()
    told = f"{findings.found} of {findings.tried} tamperings found, {findings.named} of them named by table and row"
    print(f"{given.database}: {told}, in {time.monotonic() - start:.0f} s; {dict(findings.by_kind)}")
    listed = ", ".join(f"{place} {count}" for place, count in sorted(findings.unsealed.items()))
    print(f"{findings.unsealed.total()} were not found, and are listed as unsealed: {listed}")
    print(f"{findings.refused} more were refused by the database itself")
    for line in [*findings.missed[:SHOWN], *findings.unnamed[:SHOWN]]:
        print(f"  {line}")
    return 1 if findings.missed or findings.unnamed else 0


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
