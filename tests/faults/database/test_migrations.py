"""B16: migrations killed at their statements, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, event

from etl.errors import VnsyncError
from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.support import oracle
from tests.support.checkout import ROOT
from tests.support.fault_clusters import private
from tests.support.scenes import scene

EVERY_STATEMENT = bool(os.environ.get("FAULTS_EVERY_STATEMENT"))
SWEPT = pytest.mark.parametrize("every", [1] if EVERY_STATEMENT else [36, pytest.param(9, marks=pytest.mark.soak)])


def statements_of_an_upgrade(url: str) -> int:
    """The count of statements of an upgrade of an empty database."""
    counted: list[str] = []
    engine = open_warehouse(url)
    event.listen(engine, "before_cursor_execute", lambda *a: counted.append(a[2]))
    migrations.upgrade(engine)
    return len(counted)


@SWEPT
@pytest.mark.fault("B16")
def test_postgresql_killed_at_each_statement(tmp_path: Path, every: int) -> None:
    """The backend dies at a statement of the migration (one of `every`; each with FAULTS_EVERY_STATEMENT): exit 69, no
    table is left, and the next upgrade does all of it."""
    total = statements_of_an_upgrade(private().url(private().new_database(migrated=False)))
    name = private().new_database(migrated=False)
    for place in [*range(1, total, every), total - 1]:
        engine, left = private().engine(name), iter(range(place))

        def kill(connection: Connection, *_: object, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                driver = connection.connection.driver_connection
                assert isinstance(driver, psycopg.Connection)
                private().execute(f"select pg_terminate_backend({driver.info.backend_pid}, 5000)")

        event.listen(engine, "before_cursor_execute", kill)
        with pytest.raises(VnsyncError) as caught:
            migrations.upgrade(engine)
        assert caught.value.exit_code == 69, f"statement {place}"
        assert private().execute("select count(*) from pg_tables where schemaname = 'public'", name) == [(0,)]
    with scene(tmp_path / "scene", private().url(name)) as made:
        made.recovers()


_KILLED = """
import os, signal, sqlite3, sys
from sqlalchemy import event
from etl.store import migrations
from etl.store.engine import open_warehouse

path, every = sys.argv[1], int(sys.argv[2])

def upgrade(place):
    engine, left = open_warehouse(f"sqlite:///{path}"), iter(range(place))
    def kill(*_):
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
    event.listen(engine, "before_cursor_execute", kill)
    migrations.upgrade(engine)

place, tables = 1, []
while True:
    child = os.fork()
    if not child:
        upgrade(place)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status == 0:
        break
    connection = sqlite3.connect(path)
    tables.append(connection.execute("select count(*) from sqlite_master").fetchone()[0])
    connection.close()
    place += every
print(place, set(tables))
"""


@SWEPT
@pytest.mark.fault("B16")
def test_sqlite_killed_at_each_statement(tmp_path: Path, every: int) -> None:
    """SIGKILL at a statement of the migration: the file has nothing of it, and the next upgrade does all of it."""
    path = tmp_path / "w.db"
    command = [sys.executable, "-c", _KILLED, str(path), str(every)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, cwd=ROOT)
    place, left = done.stdout.split(maxsplit=1)
    assert int(place) > 50
    assert left.strip() == "{0}"
    with scene(tmp_path / "scene", f"sqlite:///{path}") as made:
        made.recovers()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.fault("B16")
def test_downgrade_fails_whole(database: str, tmp_path: Path) -> None:
    """A step that fails half-way changes no table, row or view."""
    url = f"sqlite:///{tmp_path / 'w.db'}" if database == "sqlite" else private().url(private().new_database())

    def fail(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.strip().lower().startswith("drop table account_syncs"):
            raise VnsyncError("the power went")

    with scene(tmp_path / "scene", url) as made:
        assert made.sync().code == 0
        made.a_day_passes()
        before, engine = made.image(), made.engine
        event.listen(engine, "before_cursor_execute", fail)
        with pytest.raises(VnsyncError):
            migrations.downgrade(engine, "base")
        assert made.image() == before
        assert oracle.broken_invariants(made.engine) == []
        made.recovers()
