"""Seed: a world, its faults, a phase with all events (safety), and a phase that must repair everything (liveness)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace

from etl.errors import VnsyncError
from etl.store import migrations
from etl.store.engine import begin_reading
from etl.verify.warehouse import verify_connection
from tests.simulation import chain, verifier
from tests.simulation.dump import Dump, Picture, picture
from tests.simulation.harness import Harness, Report
from tests.simulation.keys import FIRST, SECOND
from tests.simulation.process import Breach, Process
from tests.simulation.records import NOTHING, Held, Row, shared_of, state_of, wanted
from tests.simulation.stage import Idle, Stage
from tests.simulation.swarm import BETWEEN, OF_VIEWERS
from tests.simulation.trace import Trace
from tests.simulation.upheavals import UPHEAVALS, all_rights_again
from tests.simulation.world import BURSTS


def simulate(seed: int, stage: Stage, *, keep_trace: bool = False, under: tuple[str, ...] = ()) -> Report:
    """Play a seed and report its findings. `under`: faults that are on in addition to the drawn ones."""
    stage.reset()
    play = _Play(seed, stage, Trace(keep=keep_trace), under)
    with contextlib.closing(play.reader):
        try:
            play.safety()
            play.liveness()
            play.history()
        except Breach as breach:
            play.report.problems.append(str(breach))
            play.report.bug = play.report.bug or breach.__context__
        finally:
            stage.current = Idle
    play.report.digest, play.report.lines = play.trace.digest, play.trace.lines
    return play.report


class _Play(Harness):
    """The phases of a seed, and the steps of the first."""

    _backup: Dump | None = None

    def safety(self) -> None:
        """Steps under faults; the invariants are checked at every commit and after every process."""
        for _ in range(self.rng.randrange(4, 9)):
            step = self.rng.choice(("run", "run", "run", "burst", "between"))
            if step == "run":
                self._run(self._plans())
            elif step == "burst":
                kind = self.rng.choice(BURSTS)
                self.trace.note(f"burst {kind}")
                self._world.burst(kind)
            else:
                self._between()
            self._clock.pass_time(self.rng.choice((1, 60, 3600, 86_400)))

    def liveness(self) -> None:
        """No faults, a frozen world: one run equals the world, and the next writes nothing."""
        self.trace.note("liveness")
        self._swarm.calm = self._world.frozen = True
        self._world.edition = "newer"
        self._server.directory.user_gone = False
        all_rights_again(self._world)
        small = all(len(c.numbers) < self._limit for c in self._world.customers.values())
        self._server.filter_known = self._server.filter_known or not small
        before = self._dump
        outcome, process = self._run([])
        if outcome.exit_code == 3:
            self._require(self._not_excused(process, before))
            everyone = frozenset(self._world.customers)
            outcome, process = self._run([], approve=everyone)
        if outcome.exit_code != 0:
            self._require([f"liveness: a clean run ends with {outcome.exit_code}: {outcome}"])
        self._require(self._unlike_the_world(process))
        before = self._dump
        outcome, _ = self._run([])
        if outcome.exit_code != 0 or (self._dump.current, self._dump.closed) != (before.current, before.closed):
            self._require([f"I14: the same again ends with {outcome.exit_code} or writes data"])

    def history(self) -> None:
        """Check the whole history by its views."""
        self._require(verifier.whole(self.reader, self._dump, self._accepted))
        self._require(chain.broken(self.reader))
        self._stage.current = Idle
        with begin_reading(self._stage.engine) as connection:
            self._require(f"verify: {p}" for p in verify_connection(connection, [], lambda _: None).problems)
        self._require(chain.broken(self.reader))
        if self._stage.locks():
            self._require(["lock files are left behind"])

    def _not_excused(self, process: Process, before: Dump) -> Iterable[str]:
        """The only reasons for another exit code than 0 of a clean run: a mass close, or another viewer."""
        for sync in self._dump.syncs.values():
            whole = sync.status == "succeeded" and not sync.suspects
            viewer = (sync.listed_by_user_id, sync.listed_by_credential)
            other_viewer = sync.suspects and viewer != before.viewer_of(sync.account_id)
            if sync.run_id == process.run_id and not (whole or sync.status == "held" or other_viewer):
                yield f"liveness: account {sync.account_id} is {sync.status}, {sync.suspects} suspects: {sync.error}"

    def _unlike_the_world(self, process: Process) -> Iterable[str]:
        for customer in self._world.customers.values():
            found = picture(self._dump, customer.id)
            viewer = process.transport.response_log.account(customer.id).viewer
            assert viewer is not None
            ids = customer.visible_to(viewer)
            seen = [state_of(customer.record(n, "newer", self.rng)) for n in ids]
            numbers = {n: wanted(state, NOTHING) for n, state in zip(ids, seen, strict=True)}
            shared = {key: rows.pop() for key, rows in shared_of(seen).items()}
            if found != Picture(numbers, shared):
                yield f"liveness: account {customer.id} is not as the world: {_difference(found, numbers, shared)}"

    # -- steps between runs

    def _drawn(self) -> str | None:
        """An event other than a run, of those that are on and possible in this world."""
        on = [name for name in BETWEEN if self._swarm.on(name)]
        if self._world.role == "customer" and len(on) > 1:
            on = [name for name in on if name != "other_user"]
        return self.rng.choice(on) if on else None

    def _between(self) -> None:
        """Let the drawn event happen. An event of viewers happens between two runs, or it has no effect."""
        name = self._drawn()
        if name is None:
            self._world.burst("busy_day")
        elif name in OF_VIEWERS:
            self._run(self._plans())
            self._happen(name)
            self._run(self._plans())
        else:
            self._happen(name)

    def _happen(self, name: str) -> None:
        self.trace.note(f"between {name}")
        self._swarm.struck[name] += 1
        if name == "edition":
            self._world.edition = "older" if self._world.edition == "newer" else "newer"
        elif name == "filter_unknown":
            self._server.filter_known = not self._server.filter_known
        elif name == "other_user":
            self._server.directory.user_gone = not self._server.directory.user_gone
        elif name == "other_key":
            self._key = SECOND if self._key == FIRST else FIRST
        elif name in UPHEAVALS:
            UPHEAVALS[name](self._world)
        elif name == "other_installation":
            if any(sync.status == "succeeded" for sync in self._dump.syncs.values()):
                self._visit_from_elsewhere()
        elif name == "upgrade":
            self._upgrade()
        else:
            self._backup_or_restore()

    def _upgrade(self) -> None:
        with contextlib.suppress(VnsyncError):
            migrations.upgrade(self._stage.engine)
        before, self._dump = self._dump, self.reader.dump()
        if replace(self._dump, claims={}) != replace(before, claims={}):  # an upgrade frees the claims of dead runs
            self._require(["an upgrade to the same version changed data"])

    def _backup_or_restore(self) -> None:
        path = str(self._stage.folder / "backup")
        if self._backup is None or self.rng.random() < 0.5:
            self.reader.copy_to(path)
            self._backup = self._dump
        else:
            self.reader.restore_from(path)
            self._dump = self._backup
            moments = {(s.account_id, s.observed_at) for s in self._dump.syncs.values()}
            self._accepted = {key: value for key, value in self._accepted.items() if key in moments}


def _difference(found: Picture, numbers: dict[int, Held], shared: dict[tuple[str, int], Row]) -> str:
    more: list[object] = [(n, held) for n, held in found.numbers.items() if numbers.get(n) != held]
    more += [(key, row) for key, row in found.shared.items() if shared.get(key) != row]
    less: list[object] = [n for n in numbers if n not in found.numbers]
    less += [key for key in shared if key not in found.shared]
    return f"{more[:2]} too many or other, {less[:5]} missing"
