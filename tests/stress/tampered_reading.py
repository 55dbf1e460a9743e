"""Tamperings with a warehouse, one at a time, after each of which every reading command is run.

Usage: python -m tests.stress.tampered_reading [--count 500] [--database sqlite|postgresql] [--seed 1]

The warehouse and the tamperings are those of `tampering`. A command may answer, or end with a code that says what is
wrong. It may not end with 1 (a bug in vnsync), print a control character (except in CSV, which is data here), or
end with 70 without the name of a table. Exit 1 when a command did.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import DBAPIError

from etl.cli.main import run
from etl.store import migrations, schema
from etl.store.engine import open_warehouse
from tests.stress.clusters import Cluster
from tests.stress.tampering import SHOWN, days
from tests.stress.tampering_kinds import Tamperer, Tampering

AS_OF = "2026-01-09T12:00:00Z"
COMMANDS = (
    "status", "status --output json", "status --max-age 26h", f"status --as-of {AS_OF}",
    "history NUMBER", "history NUMBER --output json", f"history NUMBER --as-of {AS_OF}",
    "changes --details", "changes --details --output json", "changes --output csv", f"changes --from {AS_OF}",
    f"snapshot --as-of {AS_OF} --out OUT/snapshot", "report --out OUT/report.html",
    "report --account ACCOUNT --out OUT/account.html", "verify", "verify --output json",
    "erase --account ACCOUNT --number NUMBER", "db upgrade",
)  # fmt: skip
KINDS = ("type", "edit", "null", "instant", "delete", "move", "account")


@dataclass
class Findings:
    """Results of the commands."""

    tampered: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def read_all(url: str, tampering: Tampering, folder: Path, findings: Findings) -> None:
    """Run every command on a tampered warehouse. `folder`: a new one for the commands' files."""
    findings.tampered += 1
    number = str(tampering.row.get("virtual_number_id") or 100_001)
    account = str(tampering.row.get("account_id") or 12_001)
    for asked in COMMANDS:
        words = asked.replace("NUMBER", number).replace("ACCOUNT", account).replace("OUT", str(folder)).split()
        code, out, err = command(words, url)
        findings.codes[code] += 1
        if wrong := _wrong(code, "" if "csv" in words else out, err):
            findings.wrong.append(f"{wrong}: {asked} after {tampering}: {err.strip()[:300]}")


def _wrong(code: int, out: str, err: str) -> str | None:
    if code not in (0, 2, 70, 75, 78):
        return f"exit {code}"
    if any(c < " " and c != "\n" for c in out + err):
        return "a control character"
    if code == 70 and not any(name in err for name in (*schema.metadata.tables, "SQLite", "PostgreSQL")):
        return "no table is named"
    return None


def command(words: list[str], url: str) -> tuple[int, str, str]:
    """Run a command line in this process on the warehouse at `url`. Returns its exit code and both streams."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _environment(url):
        code = run(words)
    return code, out.getvalue(), err.getvalue()


@contextlib.contextmanager
def _environment(url: str) -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if name.startswith("VNSYNC_")}
    for name in kept:
        del os.environ[name]
    os.environ["VNSYNC_DATABASE_URL"] = url
    try:
        yield
    finally:
        del os.environ["VNSYNC_DATABASE_URL"]
        os.environ.update(kept)


def tampered(engine: Engine, tampering: Tampering) -> bool:
    """Commit a tampering. Returns whether the database accepts it. SQLite's CHECKs are switched off."""
    with engine.connect() as connection:
        if engine.name == "sqlite":
            connection.exec_driver_sql("pragma ignore_check_constraints = on")
        try:
            for statement in tampering.statements:
                connection.execute(statement)
            connection.commit()
        except DBAPIError:
            return False
    return True


def campaign(copies: Any, count: int, seed: int, folder: Path) -> Findings:
    """Tamper `count` times, each time with a new copy. `copies`: URLs of the warehouse itself, then of its copies."""
    findings = Findings()
    with open_warehouse(next(copies)).connect() as connection:
        tamperer = Tamperer(connection, random.Random(seed))
    while findings.tampered < count:
        tampering = tamperer.draw()
        if tampering.kind in KINDS:
            url = next(copies)
            engine = open_warehouse(url)
            if tampered(engine, tampering):
                with tempfile.TemporaryDirectory(dir=folder) as out:
                    read_all(url, tampering, Path(out), findings)
            engine.dispose()
    return findings


@contextlib.contextmanager
def copies_in(database: str, folder: Path) -> Iterator[Iterator[str]]:
    """URLs of copies of one warehouse, the original first; at most one copy exists at a time."""
    if database == "sqlite":
        yield _files(folder)
        return
    cluster = Cluster(folder / "cluster")
    try:
        yield _databases(cluster)
    finally:
        cluster.close()


def _files(folder: Path) -> Iterator[str]:
    original, copy = folder / "original.db", folder / "copy.db"
    engine = open_warehouse(f"sqlite:///{original}")
    migrations.upgrade(engine)
    days(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    yield f"sqlite:///{original}"
    while True:
        for path in folder.glob("copy.db*"):
            path.unlink()
        shutil.copy(original, copy)
        yield f"sqlite:///{copy}"


def _databases(cluster: Cluster) -> Iterator[str]:
    url = cluster.new()
    engine = open_warehouse(url)
    migrations.upgrade(engine)
    days(engine)
    engine.dispose()
    yield url
    original = make_url(url).database
    while True:
        copy = cluster.new(template=str(original))
        yield copy
        cluster.drop(copy)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, copies_in(given.database, Path(folder)) as copies:
        findings = campaign(copies, given.count, given.seed, Path(folder))
    print(f"{given.database}: {findings.tampered} tamperings, {findings.codes.total()} commands, exit codes "
          f"{dict(sorted(findings.codes.items()))}, in {time.monotonic() - start:.0f} s")  # fmt: skip
    print(f"{len(findings.wrong)} wrong")
    for line in findings.wrong[:SHOWN]:
        print(f"  {line}")
    return 1 if findings.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
