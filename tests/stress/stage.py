"""Stage of stress runs: a sandbox on loopback, a warehouse, real runs, and checks of the warehouse."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from etl.sandbox.api import Api
from etl.sandbox.server import serve
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.checkout import ROOT

TOKEN = "c4nary-campaign-0123456789abcdef"


class Breach(AssertionError):
    """A guarantee of vnsync did not hold."""


@dataclass(frozen=True)
class Ended:
    """An ended process: its return code (negative: killed by that signal), its output, and its largest size."""

    code: int
    out: str
    err: str
    peak_mib: float = 0.0


class Runner:
    """Starts `vnsync` processes from its own fork server: one at a time, or many in a race."""

    def __init__(self, folder: Path) -> None:
        self._out, self._err, self._cwd = folder / "out", folder / "err", folder
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
        self._fork_server = subprocess.Popen(
            [sys.executable, "-m", "tests.stress.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        self._pid: int | None = None
        self._hear()

    def start(
        self,
        args: list[str],
        env: dict[str, str],
        at: dict[str, Any] | None = None,
        *,
        alone: bool = False,
        **places: str,
    ) -> int:
        """Start a run. Returns its process id.

        `alone`: without the environment of this process. `places`: other `out`, `err` and `cwd` than the runner's own.
        """
        self._ask({**self._request(args, env, "", at), "alone": alone, **places})
        self._pid = int(self._hear()["pid"])
        return self._pid

    def wait(self) -> Ended | None:
        """The end of the run; None if it only halted and waits for SIGCONT."""
        news = self._hear()
        if "halted" in news:
            return None
        self._pid = None
        return replace(self._ended(news["returncode"], ""), peak_mib=news["peak"])

    def abandon(self) -> None:
        """Kill the run that was not waited for, if there is one."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            while self.wait() is None:
                pass

    def race(self, each: list[list[str]], env: dict[str, str]) -> list[Ended]:
        """Start all at once. Returns their ends when all have ended."""
        self._ask([self._request(args, env, f".{i}", None) for i, args in enumerate(each)])
        return [self._ended(code, f".{i}") for i, code in enumerate(self._hear()["returncodes"])]

    def _request(self, args: list[str], env: dict[str, str], mark: str, at: dict[str, Any] | None) -> dict[str, Any]:
        files = {"out": f"{self._out}{mark}", "err": f"{self._err}{mark}", "cwd": str(self._cwd)}
        return {"args": args, "env": env, "alone": False, "at": at, **files}

    def _ended(self, code: int, mark: str) -> Ended:
        out, err = (
            f.read_text() if f.exists() else "" for f in (Path(f"{self._out}{mark}"), Path(f"{self._err}{mark}"))
        )
        return Ended(code, out, err)

    def _ask(self, request: object) -> None:
        assert self._fork_server.stdin
        self._fork_server.stdin.write(json.dumps(request) + "\n")
        self._fork_server.stdin.flush()

    def close(self) -> None:
        """End the fork server."""
        assert self._fork_server.stdin
        assert self._fork_server.stdout
        self._fork_server.stdin.close()
        self._fork_server.wait(timeout=30)
        self._fork_server.stdout.close()

    def _hear(self) -> dict[str, Any]:
        assert self._fork_server.stdout
        line = self._fork_server.stdout.readline()
        if not line:
            raise RuntimeError("the process that forks died")
        news: dict[str, Any] = json.loads(line)
        return news


Images = dict[int, oracle.Tables]
"""The eight tables of each account."""


@dataclass
class Stage:
    """A served world, runs against it, and checks. `url`: the warehouse."""

    folder: Path
    world: World
    api: Api
    source: str
    runner: Runner
    url: str
    _edits: int = field(default=0, init=False)
    _known: dict[str, set[tuple[int, int]]] = field(default_factory=dict, init=False)

    def start(self, *more: str, url: str | None = None, at: dict[str, Any] | None = None, **files: str) -> int:
        """Start `vnsync sync`. Returns its process id. `at`: see `points.install`; `files`: see `Runner.start`."""
        return self.runner.start(self.words(*more), self.environment(url), at, alone=False, **files)

    def words(self, *more: str) -> list[str]:
        """The command line of a sync."""
        return ["sync", "--api-url", self.source, "--log-level", "error", "--retry-max-seconds", "5", *more]

    def environment(self, url: str | None = None) -> dict[str, str]:
        """The settings in environment variables."""
        return {"VNSYNC_API_TOKEN": TOKEN, "VNSYNC_DATABASE_URL": url or self.url}

    def run(self, *more: str, url: str | None = None, at: dict[str, Any] | None = None) -> Ended:
        """Run `vnsync sync` from start to end."""
        self.start(*more, url=url, at=at)
        ended = self.runner.wait()
        assert ended is not None
        return ended

    def pass_day(self) -> None:
        """Let a day pass, in which every account changes."""
        with self.api.lock:
            self.world.pass_day(0.04)
            for customer in self.world.customer_ids:
                self._edits += 1
                number = self.world.numbers(customer)[self._edits % 7]
                self.world.edit(customer, number, comment=f"edit {self._edits}")

    def truth(self) -> Images:
        """The content of an up-to-date warehouse."""
        return {c: oracle.expected(self.world.truth(c)) for c in self.world.customer_ids}

    def converge(self) -> None:
        """Make one clean run: it must succeed without repair, equal the source, and leave nothing behind."""
        ended = self.run()
        if ended.code:
            raise Breach(f"the next run ended with {ended.code}: {ended.err}")
        self.equals(self.truth())
        with reading(self.url) as engine:
            leftovers(engine)
            self._known[self.url] = _published(engine)
        no_lock_files(self.url)

    def equals(self, wanted: Images) -> None:
        """Check that the current tables and the open versions are exactly these."""
        with reading(self.url) as engine:
            for account, tables in wanted.items():
                for found in (oracle.current(engine, account), oracle.open_versions(engine, account)):
                    if different := oracle.differences(found, tables):
                        raise Breach(f"account {account} differs from the source: {different}")

    def between(self, before: Images, after: Images) -> set[int]:
        """Check that each account has its old or its new state; its row in account_syncs exists only for the new one.

        Returns the accounts with the new state.
        """
        published = set()
        with reading(self.url) as engine:
            found = images(engine, after)
            recorded = {account for _, account in _published(engine) - self._known.get(self.url, set())}
        for account, tables in found.items():
            if tables == after[account]:
                published.add(account)
            elif tables != before[account]:
                raise Breach(f"account {account} is in between: {oracle.differences(tables, after[account])}")
        distinct = {a for a in after if before[a] != after[a]}
        if published & distinct != recorded & distinct:
            raise Breach(f"data of {published} was written, account_syncs tells of {recorded}")
        return published


@contextlib.contextmanager
def stage(
    url: str, folder: Path, *, seed: int = 1, customers: int = 2, numbers: int = 90, runner: Runner | None = None
) -> Iterator[Stage]:
    """A stage whose world has a few small customers, for the warehouse at `url`. `runner`: a shared one."""
    plans = [CustomerPlan(numbers=numbers), *(CustomerPlan(numbers=30) for _ in range(customers - 1))]
    world = World(seed=seed, customers=plans, id_step=3)
    api = Api(world, token=TOKEN)
    with contextlib.ExitStack() as held:
        server = held.enter_context(serve(api))
        if runner is None:
            runner = held.enter_context(contextlib.closing(Runner(folder)))
        yield Stage(folder, world, api, server.url, runner, url)


@contextlib.contextmanager
def reading(url: str) -> Iterator[Engine]:
    """An engine for reading, not vnsync's own. A SQLite file is copied first, so that reading repairs nothing."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        yield create_engine(parsed.set(drivername="postgresql+psycopg"), poolclass=NullPool)
        return
    original = Path(str(parsed.database))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / original.name
        for suffix in ("", "-wal"):
            if Path(f"{original}{suffix}").exists():
                shutil.copy(f"{original}{suffix}", f"{copy}{suffix}")
        yield create_engine(f"sqlite:///{copy}", poolclass=NullPool)


def images(engine: Engine, accounts: Images) -> Images:
    """The content of these accounts' current tables; empty if there are no tables yet."""
    if not inspect(engine).has_table("virtual_numbers"):
        return {account: {name: set() for name in oracle.COLUMNS} for account in accounts}
    return {account: oracle.current(engine, account) for account in accounts}


def empty(accounts: Images) -> Images:
    """The content before the first load."""
    return {account: {name: set() for name in oracle.COLUMNS} for account in accounts}


def leftovers(engine: Engine) -> None:
    """Check after a clean run: no run is marked as running, no claim or lock is left, the history keeps its rules."""
    with engine.connect() as connection:
        running = connection.scalars(text("select run_id from sync_runs where status = 'running'")).all()
        claims = connection.scalars(text("select run_id from account_claims")).all()
    if running or claims:
        raise Breach(f"left running: {running}; left claimed by: {claims}")
    if engine.name == "postgresql":
        eventually(lambda: not _advisory_locks(engine), "an advisory lock is still held")
    if broken := oracle.broken_invariants(engine):
        raise Breach(f"the history is broken: {broken[:3]}")


def no_lock_files(url: str) -> None:
    """Check that no run's lock file is left next to a SQLite file."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(str(parsed.database))
        if left := [p.name for p in path.parent.iterdir() if p.name.startswith(f"{path.name}.run-")]:
            raise Breach(f"lock files are left: {left}")


def eventually(true: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait until a condition is true, for at most `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise Breach(what)
        time.sleep(0.02)


def _advisory_locks(engine: Engine) -> int:
    statement = "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database"
    with engine.connect() as connection:
        return int(connection.scalar(text(f"{statement} where datname = current_database())")) or 0)


def _published(engine: Engine) -> set[tuple[int, int]]:
    if not inspect(engine).has_table("account_syncs"):
        return set()
    with engine.connect() as connection:
        rows = connection.execute(text("select run_id, account_id from account_syncs where status = 'succeeded'"))
        return {(row.run_id, row.account_id) for row in rows}
