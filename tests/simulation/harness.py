"""Harness of a seed: it runs processes, also one during another, and checks the warehouse after every commit."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from etl.sync.run import SyncOptions
from tests.simulation import verifier
from tests.simulation.clock import SimClock
from tests.simulation.driver import Watcher
from tests.simulation.dump import Dump, Reader, Sync, picture
from tests.simulation.keys import FIRST
from tests.simulation.oracle import Case, Oracle
from tests.simulation.process import COUNTDOWNS, OTHER_URL, Breach, Outcome, Plan, Process, Stagehand
from tests.simulation.records import Row
from tests.simulation.server import Server
from tests.simulation.stage import Idle, Stage
from tests.simulation.swarm import PROCESS, Swarm
from tests.simulation.trace import Trace
from tests.simulation.verdicts import of_ending, of_result
from tests.simulation.world import World

IN_THE_AIR = (
    "customers_shrunk", "users_shrunk", "roster_empty", "odd_limits", "day_limit", "filter_prohibited",
    "customers_refused", "userless",
)  # fmt: skip
"""Faults that cannot be recognized by the answer."""
REFUSED = 78
"""Exit code of a process with the URL of another installation."""
PLANNED = tuple(name for name in PROCESS if name != "same_run_id")


@dataclass
class Report:
    """The result of a seed."""

    seed: int
    problems: list[str] = field(default_factory=list)
    faults: dict[str, float] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    lines: list[str] | None = None
    bug: BaseException | None = None
    """An unexpected error of the program that caused the finding."""

    @property
    def replay(self) -> str:
        """The command line that plays this seed again."""
        return f"python -m tests.simulation --seed {self.seed} --trace"


class Harness:
    """The state of one seed; runs and judges its processes."""

    def __init__(self, seed: int, stage: Stage, trace: Trace, under: tuple[str, ...] = ()) -> None:
        self.rng, self.trace, self._stage = random.Random(seed), trace, stage
        rng = self.rng
        self._swarm = Swarm.draw(rng, under)
        self._world = World.draw(rng)
        self._server = Server(self._world, self._swarm, rng)
        self._clock = SimClock(rng, self._swarm)
        self._limit = rng.choice((5, 8, 12, 30, 10_000, 10_000))
        self._share = rng.choice((0.5, 0.5, 0.2, 1.0))
        self._login = self._swarm.on("session_expired") and rng.random() < 0.7
        self._key = FIRST
        self._oracle = Oracle()
        self._stack: list[Process] = []
        self._names = 0
        self._breach: Breach | None = None
        self._accepted: dict[tuple[int, str], dict[str, list[Row]]] = {}
        self.report = Report(seed, faults=dict(self._swarm.rates), struck=self._swarm.struck)
        self.reader = Reader(str(stage.path))
        self._dump = self.reader.dump()
        stage.current = self._watcher
        self._hand = Stagehand(
            stage, self._swarm, rng, self._clock, self._server, trace, self._after_commit, self._meanwhile
        )
        trace.note(f"seed {seed}: {self._swarm.rates}, limit {self._limit}, {self._world.role}")

    def _watcher(self) -> Watcher:
        return self._stack[-1] if self._stack else Idle()

    def _require(self, problems: Iterable[str]) -> None:
        for problem in problems:
            self._breach = self._breach or Breach(problem)
            self.trace.note(f"BREACH {problem}")
        if self._breach is not None:
            raise self._breach

    # -- processes

    def _plans(self) -> list[Plan]:
        """The events that are planned for the next process."""
        return [self._plan(name) for name in PLANNED if self._swarm.on(name) and self.rng.random() < 0.6]

    def _plan(self, name: str) -> Plan:
        if name in ("lost_commit", "commit_failed"):
            kind = "committed" if name == "lost_commit" else "commit"
        elif name in ("busy", "disk_full"):
            kind = "statement"
        else:
            kind = self.rng.choice(list(COUNTDOWNS))
        return Plan(name, kind, self.rng.randrange(1, COUNTDOWNS[kind]))

    def _run(self, plans: list[Plan], *, approve: frozenset[int] = frozenset()) -> tuple[Outcome, Process]:
        self._swarm.new_run()
        self._server.new_run()
        return self._start(self._options(approve), plans, 0)

    def _options(self, approve: frozenset[int]) -> SyncOptions:
        customers = list(self._world.customers)
        scope: list[int] = []
        if not self._swarm.calm:
            if self.rng.random() < 0.1:
                approve = frozenset(customers)
            if len(customers) > 1 and self.rng.random() < 0.3:
                scope = [self.rng.choice(customers)]
        return SyncOptions(
            accounts=frozenset(scope), approve_close=approve, max_close_share=self._share, page_limit=self._limit
        )

    def _start(self, options: SyncOptions, plans: list[Plan], depth: int) -> tuple[Outcome, Process]:
        self._names += 1
        process = Process(self._hand, f"p{self._names}", options, self._login, depth, plans, key=self._key)
        self.trace.note(f"{process.name} starts at depth {depth}: {[(p.action, p.kind, p.countdown) for p in plans]}")
        alive = {p.run_id for p in self._stack}
        process.found_dead = [
            r.run_id for r in self._dump.runs.values() if r.status == "running" and r.run_id not in alive
        ]
        self._stack.append(process)
        try:
            outcome = process.run()
        finally:
            self._stack.pop()
        self._ended(process, outcome)
        return outcome, process

    def _visit_from_elsewhere(self) -> None:
        """Run a process with the URL of another installation with the same account ids: it is refused at once."""
        server = Server(World.draw(self.rng), self._swarm, self.rng)
        server.new_run()
        hand = replace(self._hand, server=server, committed=self._must_not_write)
        visitor = Process(hand, "visitor", self._options(frozenset()), self._login, url=OTHER_URL)
        self._stack.append(visitor)
        try:
            outcome = visitor.run()
        finally:
            self._stack.pop()
        self._must_not_write(visitor)
        if outcome.exit_code != REFUSED or visitor.transport.response_log.requests:
            self._require([f"another installation is not refused: {outcome}"])

    def _must_not_write(self, _visitor: Process) -> None:
        if self.reader.changed():
            self._require(["a process of another installation wrote to the warehouse"])

    def _meanwhile(self, process: Process, action: str) -> None:
        """Run another process from start to end while this one is suspended."""
        if process.depth:
            return
        options = self._options(frozenset())
        if action == "zombie":
            options = process.options
            for path in self._stage.locks():
                process.stolen = True
                path.unlink()
        plans = [p for p in self._plans() if p.action in ("crash", "lost_commit")]
        self._start(options, plans, process.depth + 1)

    def _ended(self, process: Process, outcome: Outcome) -> None:
        self.trace.note(f"{process.name} ended: {outcome.exit_code} {outcome.error or outcome.bug or ''}")
        self.report.counts[f"exit {outcome.exit_code}"] += 1
        self.report.counts["requests"] += process.transport.response_log.requests
        if outcome.bug is not None:
            self.report.bug = outcome.bug
            self._require([f"a bug: {type(outcome.bug).__name__}: {outcome.bug}"])
        self._check(process)
        if outcome.crashed:
            return
        if outcome.result is not None:
            self._require(
                of_result(
                    self._dump,
                    outcome.result,
                    run_id=process.run_id,
                    excused=process.stolen,
                    beside=bool(process.depth),
                )
            )
            self._require(self._left_running(process))
        elif process.run_id is not None and outcome.error is not None and outcome.error.run_id != process.run_id:
            self._require([f"an error without its run id: {outcome.error}"])
        self._require(self._fits(process, outcome))

    def _left_running(self, process: Process) -> Iterable[str]:
        for run_id in process.found_dead:
            if self._dump.runs[run_id].status == "running" and not process.stolen:
                yield f"I9: run {run_id} was dead before run {process.run_id} began, and still says running"

    def _fits(self, process: Process, outcome: Outcome) -> Iterable[str]:
        response_log, faults = process.transport.response_log, set(process.faults)
        faults |= response_log.faults | {n for n in IN_THE_AIR if self._swarm.on(n)}
        faults |= {"filter_unknown"} if not self._server.filter_known else set()
        faults |= {"same_scope"} if process.depth else set()
        return of_ending(
            self._dump,
            response_log,
            exit_code=outcome.exit_code,
            run_id=process.run_id,
            faults=faults,
            scoped=bool(process.options.accounts),
        )

    # -- after every commit

    def _after_commit(self, process: Process) -> None:
        if self.reader.changed():
            self._check(process)

    def _check(self, process: Process) -> None:
        before, after = self._dump, self.reader.dump()
        self._dump = after
        for run_id in after.runs.keys() - before.runs.keys():
            process.run_id = run_id
        live = {p.run_id for p in self._stack if p.run_id is not None and p.lives}
        self._require(verifier.between(before, after, live))
        for key, sync in after.syncs.items():
            if key not in before.syncs:
                self.report.counts[f"account {sync.status}"] += 1
                if sync.status == "succeeded":
                    self._judge(sync, before, after, process)

    def _judge(self, sync: Sync, before: Dump, after: Dump, process: Process) -> None:
        if sync.run_id != process.run_id or sync.observed_at is None:
            self._require([f"run {sync.run_id} was published by a process of run {process.run_id}"])
            return
        self.report.counts["closed"] += sync.rows_closed
        self._accepted[(sync.account_id, sync.observed_at)] = after.current
        earlier = [s.observed_at for s in before.syncs.values() if s.account_id == sync.account_id and s.observed_at]
        if not process.could_observe(sync.observed_at, max(earlier, default=None)):
            self._require([f"I3: account {sync.account_id} observed at {sync.observed_at}, read at no such moment"])
        case = Case(
            sync=sync,
            before=picture(before, sync.account_id),
            after=picture(after, sync.account_id),
            log=process.transport.response_log.account(sync.account_id),
            customer=self._world.customers[sync.account_id],
            approved=sync.account_id in process.options.approve_close,
            share=self._share,
            undisturbed=not process.transport.response_log.faults and not process.transport.response_log.spent,
            viewer_before=before.viewer_of(sync.account_id),
        )
        self._require(self._oracle.judge(case))
