"""Process that runs the pipeline. Others may run at each request, clock reading, statement and commit."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from etl.domain.runs import RunResult
from etl.errors import Stopped, VnsyncError
from etl.extract.credentials import Credentials, Login, PermanentKey
from etl.extract.jsonrpc import open_api
from etl.sync.run import SyncOptions, sync
from tests.simulation.clock import SimClock
from tests.simulation.driver import failure
from tests.simulation.keys import FIRST, Key
from tests.simulation.server import Server
from tests.simulation.stage import Stage
from tests.simulation.swarm import Swarm
from tests.simulation.trace import Trace
from tests.simulation.transport import SimTransport

URL = "https://dataapi.example/v2.0"
OTHER_URL = "https://other.example/v2.0"
"""API of another installation."""
WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "insert")
COUNTDOWNS = {"request": 8, "answer": 8, "statement": 120, "commit": 7, "committed": 7, "clock": 10, "report": 8}


class Crash(BaseException):
    """The process is killed here: it does nothing more, and its connections break."""


class Breach(BaseException):
    """A violation was found; it ends the seed."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a process: a result, a known error of vnsync, killed, or an unexpected error."""

    result: RunResult | None = None
    error: VnsyncError | None = None
    crashed: bool = False
    bug: Exception | None = None

    @property
    def exit_code(self) -> int | None:
        """The exit code; None for a killed process."""
        if self.result is not None:
            return self.result.exit_code
        if self.error is not None:
            return self.error.exit_code
        return None if self.crashed else 1


@dataclass
class Plan:
    """A planned event of a process: it happens once, at the n-th point of a kind."""

    action: str
    kind: str
    countdown: int


@dataclass
class Stagehand:
    """State and callbacks that all processes of a seed share."""

    stage: Stage
    swarm: Swarm
    rng: random.Random
    clock: SimClock
    server: Server
    trace: Trace
    committed: Callable[[Process], None]
    meanwhile: Callable[[Process, str], None]


@dataclass
class Process:
    """A process. It is the pipeline's clock, random source and event listener, and the watcher of its connections."""

    hand: Stagehand
    name: str
    options: SyncOptions
    login: bool
    depth: int = 0
    plans: list[Plan] = field(default_factory=list)
    url: str = URL
    key: Key = FIRST
    run_id: int | None = None
    dead: bool = False
    stolen: bool = False
    full: int = 0
    faults: set[str] = field(default_factory=set)
    readings: list[datetime] = field(default_factory=list)
    locks: list[Path] = field(default_factory=list)
    connections: list[sqlite3.Connection] = field(default_factory=list)
    found_dead: list[int] = field(default_factory=list)
    """Runs that were marked as running and were dead when this process began."""

    def __post_init__(self) -> None:
        self.transport = SimTransport(self.hand.server, self.hand.swarm, self.hand.rng, self.reach)

    @property
    def lives(self) -> bool:
        """Whether it holds a run's lock, which all others must respect."""
        return self.run_id is not None and not self.dead and not self.stolen

    def run(self) -> Outcome:
        """Run the pipeline once, through its public entry."""
        credentials: Credentials = Login(self.key.login, "password") if self.login else PermanentKey(self.key.token)
        ports: dict[str, Any] = {"clock": self, "random": self, "report": self.report}
        try:
            with open_api(self.url, credentials, transport=self.transport, **ports) as api:
                return Outcome(result=sync(api, self.hand.stage.engine, options=self.options, **ports))
        except VnsyncError as error:
            return Outcome(error=error)
        except Crash:
            self._leave_locks()
            return Outcome(crashed=True)
        except Exception as error:  # noqa: BLE001 - a bug of the program, to be reported
            return Outcome(bug=error)

    def _leave_locks(self) -> None:
        """Restore lock files that unwinding removed here, because a killed process removes none."""
        for path in self.locks:
            path.touch()

    def _end_transactions(self) -> None:
        """End the transactions, as the kernel ends a process's locks: a frame of the exception could keep them open."""
        for connection in self.connections:
            with contextlib.suppress(sqlite3.ProgrammingError):  # it is closed
                connection.rollback()

    # -- points at which events may happen

    def reach(self, kind: str, what: str) -> None:
        """Reach a point, at which an event may happen."""
        if self.dead:
            raise Crash
        self.hand.trace.note(f"{self.name} {kind} {what}")
        for plan in self.plans:
            if plan.kind == kind and plan.countdown > 0:
                plan.countdown -= 1
                if plan.countdown == 0:
                    self._happen(plan.action)
        if kind == "answer":
            self.readings.clear()

    def _happen(self, action: str) -> None:
        self.hand.trace.note(f"{self.name} !! {action}")
        self.hand.swarm.struck[action] += 1
        self.faults.add(action)
        if action == "crash":
            self.dead, self.locks = True, self.hand.stage.locks()
            self._end_transactions()
            raise Crash
        if action == "stop":
            raise Stopped(15, "SIGTERM")
        if action == "busy":
            raise failure("SQLITE_BUSY", "database is locked")
        if action == "commit_failed":
            raise failure("SQLITE_FULL", "database or disk is full")
        if action == "lost_commit":
            raise failure("SQLITE_IOERR", "disk I/O error")
        if action == "disk_full":
            self.full = self.hand.rng.randrange(1, 150)
        else:
            self.hand.meanwhile(self, action)

    # -- the database

    def connected(self, connection: sqlite3.Connection) -> None:
        """Called when the pipeline has opened a connection."""
        self.connections.append(connection)

    def statement(self, sql: str) -> None:
        """Called before the pipeline executes a statement."""
        self.reach("statement", sql[:60])
        if self.full and sql.startswith(WRITES):
            self.full -= 1
            raise failure("SQLITE_FULL", "database or disk is full")

    def committing(self) -> None:
        """Called before the pipeline commits."""
        self.reach("commit", "")

    def committed(self) -> None:
        """Called after the commit, before the pipeline learns of it."""
        self.hand.committed(self)
        self.reach("committed", "")

    # -- the ports

    def now(self) -> datetime:
        """The wall clock."""
        self.reach("clock", "")
        moment = self.hand.clock.now()
        self.readings.append(moment)
        return moment

    def monotonic(self) -> float:
        """The monotonic clock."""
        return self.hand.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """A pause, during which other processes may run."""
        self.hand.trace.note(f"{self.name} sleeps {seconds:.3f}")
        self.hand.server.world.stir()
        self.hand.clock.sleep(seconds)

    def random(self) -> float:
        """A random float."""
        return self.hand.rng.random()

    def randrange(self, stop: int, /) -> int:
        """A random integer; it may repeat."""
        if self.hand.swarm.on("same_run_id"):
            self.hand.swarm.struck["same_run_id"] += 1
            return self.hand.rng.randrange(2)
        return self.hand.rng.randrange(stop)

    def report(self, event: object) -> None:
        """Receive an event of the pipeline."""
        self.reach("report", type(event).__name__)

    def could_observe(self, observed_at: str, previous: str | None) -> bool:
        """Whether this may be an account sync's moment: read after its last answer, or just after `previous`."""
        floor = None if previous is None else _parsed(previous) + timedelta(microseconds=1)
        moments = (r.replace(tzinfo=None) for r in self.readings)
        return _parsed(observed_at) in {m if floor is None else max(m, floor) for m in moments}


def _parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)
