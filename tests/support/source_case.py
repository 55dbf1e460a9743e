"""Source case: a synced warehouse, a world that has changed since, a source that misbehaves, and the run against it."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from etl.domain.runs import RunResult
from etl.errors import VnsyncError
from etl.extract.connection import Bounds
from etl.extract.credentials import Credentials, PermanentKey
from etl.extract.jsonrpc import open_api
from etl.sandbox.api import Api
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import open_warehouse
from etl.store.installations import rebind
from etl.sync.run import SyncOptions, sync
from tests.support import oracle
from tests.support.processes import runner
from tests.support.raw_server import RawServer
from tests.support.rig import Rig
from tests.support.secrets import CANARY, in_bytes, in_text, write_secret

NUMBERS = 12
QUICK = Bounds(connect=1.0, read=0.3, whole=1.0)
LONGEST = 120.0
"""Seconds after which a command that does not end is killed."""


def one_customer(numbers: int = NUMBERS) -> World:
    """A small world, the same each time."""
    return World(seed=5, customers=[CustomerPlan(numbers=numbers)], role="customer", id_step=7)


def move_on(world: World) -> None:
    """Make the changes that the next run must find: one number removed, one edited, one new."""
    (account,) = world.customer_ids
    first, second, *_ = world.numbers(account)
    world.remove(account, first)
    world.edit(account, second, comment="edited since")
    world.add(account, 1)


@dataclass(frozen=True)
class Ended:
    """End of a command."""

    code: int
    out: str
    err: str
    peak_mib: float

    @property
    def line(self) -> str:
        """The error line: the last on stderr, after the log lines about the accounts."""
        lines = self.err.splitlines()
        (line,) = [each for each in lines if each.startswith("vnsync: error: ")]
        assert line == lines[-1]
        return line


def vnsync(*arguments: str, folder: Path, **environment: str) -> Ended:
    """Run the command in its own process, forked from one that has imported it, with no other environment."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    out, err = folder / "stdout", folder / "stderr"
    server = runner(0)
    pid = server.start(list(arguments), env, alone=True, cwd=str(folder), out=str(out), err=str(err))
    limit = threading.Timer(LONGEST, os.kill, (pid, signal.SIGKILL))
    limit.start()
    done = server.wait()
    limit.cancel()
    limit.join()
    assert done is not None
    return Ended(done.code, out.read_text(), err.read_text(), done.peak_mib)


@dataclass
class Case:
    """Case of one account. `engine` has the old state of the world, `world` has changed, `server` serves it."""

    folder: Path
    world: World
    engine: Engine
    server: RawServer

    def __post_init__(self) -> None:
        self.rig = Rig(self.world, self.engine, url=self.server.url)
        self.before = self.current()

    def current(self) -> oracle.Tables:
        """The current tables of the only account."""
        return oracle.current(self.engine, self.rig.only)

    def command(self, **environment: str) -> Ended:
        """Run `vnsync sync` against the server, with hardly any retries."""
        token = write_secret(self.folder / "token")
        known = {
            "VNSYNC_API_URL": self.server.url,
            "VNSYNC_API_TOKEN_FILE": str(token),
            "VNSYNC_DATABASE_URL": self.engine.url.render_as_string(hide_password=False),
            "VNSYNC_RETRY_MAX_SECONDS": "0.2",
            "VNSYNC_LOG_LEVEL": "error",
        }
        return vnsync("sync", folder=self.folder, **{**known, **environment})

    def move_to(self, url: str) -> dict[str, str]:
        """The setting for another URL, after the warehouse was bound to the installation there."""
        rebind(self.engine, url, now=self.rig.clock.now())
        return {"VNSYNC_API_URL": url}

    def sync(
        self, *, credentials: Credentials | None = None, bounds: Bounds = QUICK, url: str = "", **options: Any
    ) -> RunResult:
        """Make one run in this process on the fake clock, a day later, over real sockets."""
        clock, report = self.rig.clock, self.rig.events.append
        clock.pass_time(86_400)
        key = credentials or PermanentKey(CANARY)
        where = url or self.server.url
        with open_api(where, key, clock=clock, random=self.rig.random, report=report, bounds=bounds) as api:
            chosen = SyncOptions(**options)
            return sync(api, self.engine, options=chosen, clock=clock, random=self.rig.random, report=report)

    # -- checks of every row

    def check_untouched(self, exit_code: int) -> None:
        """Check: unchanged data, nothing closed, the run's row with its end, and no token anywhere."""
        assert self.current() == self.before
        assert oracle.open_versions(self.engine, self.rig.only) == self.before
        assert oracle.broken_invariants(self.engine) == []
        last = self.rig.rows("select status, exit_code from sync_runs order by run_id desc limit 1")
        assert last == [("held" if exit_code == 3 else "failed", exit_code)]
        self.check_secrets()

    def check_recovers(self) -> None:
        """Check that the next clean run succeeds and equals the world."""
        self.server.behave()
        self.move_to(self.server.url)
        result = self.sync(bounds=Bounds())
        assert (result.exit_code, result.error) == (0, None)
        assert not oracle.differences(self.current(), oracle.expected(self.world.truth(self.rig.only)))
        assert oracle.broken_invariants(self.engine) == []

    def check_secrets(self) -> None:
        """Check that the token is in no row, and in no file except its own."""
        with self.engine.connect() as connection:
            for table in ("sync_runs", "account_syncs", "quarantine", "source_drift"):
                for row in connection.execute(text(f"select * from {table}")):
                    assert not in_text(str(row))
        assert not [p for p in self.folder.iterdir() if p.is_file() and p.name != "token" and in_bytes(p)]


def check_line(ended: Ended, exit_code: int, *words: str) -> None:
    """Check for one line on stderr with cause, remedy and, once there is one, the run's id, without the token."""
    assert ended.code == exit_code, ended.err
    assert ended.line.endswith(f"exit {exit_code})")
    for word in words:
        assert word in ended.line
    assert not in_text(ended.err, ended.out)


def new_case(folder: Path, engine: Engine, server: RawServer) -> Case:
    """A case whose first sync succeeded; the server serves its world."""
    world = one_customer()
    server.api = Api(world, token=CANARY)
    assert Rig(world, engine, url=server.url).sync().exit_code == 0
    case = Case(folder, world, engine, server)
    case.rig.clock.pass_time(86_400)
    move_on(world)
    return case


def sqlite_case(folder: Path, template: Path, server: RawServer) -> Case:
    """A case on a SQLite file, copied from a migrated one."""
    shutil.copy(template, folder / "warehouse.db")
    return new_case(folder, open_warehouse(f"sqlite:///{folder / 'warehouse.db'}"), server)


def how_it_ends(run: Callable[[], RunResult]) -> tuple[int, str]:
    """Exit code and error of a run, whether the error is raised or in the result."""
    try:
        result = run()
    except VnsyncError as exc:
        return exc.exit_code, f"{exc}. {exc.remedy}"
    return result.exit_code, result.error or ""
