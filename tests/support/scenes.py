"""Scene: a listening sandbox, a warehouse, and the command line; with the checks that every row of group B requires."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.cli.main import run
from etl.clock import SystemClock
from etl.errors import Usage
from etl.sandbox.api import Api
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import open_warehouse
from etl.store.installations import rebind
from tests.support import oracle
from tests.support.running import TOKEN, Outcome, Source, listening

Image = dict[str, list[tuple[Any, ...]]]


@dataclass
class Scene:
    """One world and one warehouse."""

    source: Source
    url: str

    @property
    def world(self) -> World:
        return self.source.world

    @property
    def api(self) -> Api:
        return self.source.api

    @property
    def engine(self) -> Engine:
        return open_warehouse(self.url)

    def call(self, *arguments: object, url: str | None = None, level: str = "error") -> Outcome:
        """Run a command line in this process."""
        out, err = io.StringIO(), io.StringIO()
        words = [*(str(a) for a in arguments), "--log-level", level, "--database-url", url or self.url]
        with redirect_stdout(out), redirect_stderr(err):
            code = run(words)
        return Outcome(code, out.getvalue(), err.getvalue())

    def sync(self, *arguments: object, url: str | None = None, level: str = "error") -> Outcome:
        """Run `vnsync sync` against the sandbox."""
        return self.call("sync", *self.source.options, *arguments, url=url, level=level)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def image(self) -> Image:
        """All data rows, with their periods."""
        names = [*(n for name in oracle.COLUMNS for n in (name, f"{name}_closed")), "accounts"]
        with self.engine.connect() as connection:
            found = {name: connection.execute(text(f"select * from {name}")).all() for name in names}
        return {name: sorted((tuple(row) for row in rows), key=str) for name, rows in found.items()}

    def take_over(self) -> None:
        """Bind the warehouse, which another scene has filled, to this scene's source."""
        with suppress(Usage):
            rebind(self.engine, self.source.url, now=SystemClock().now())

    # -- checks of every row

    def refused(self, done: Outcome, *codes: int, says: str = "") -> str:
        """Check the line of a failure: cause, remedy, exit code, the id of a begun run, and no secret. Returns it."""
        lines = [line for line in done.err.splitlines() if line.startswith("vnsync: error: ")]
        assert len(lines) == 1, (done.code, done.out, done.err)
        (line,) = lines
        assert done.code in codes, f"exit {done.code}: {line}"
        assert line.endswith(f"exit {done.code})")
        assert says in line, line
        assert "Traceback" not in done.err
        assert TOKEN not in done.out + done.err
        return line

    def recovers(self) -> None:
        """Check the next clean run: it exits with 0, equals the source and ends; another run writes nothing."""
        done = self.sync()
        assert done.code == 0, done.err
        self.is_true()
        before = self.image()
        assert self.sync().code == 0
        after = self.image()
        assert {n: r for n, r in before.items() if n != "accounts"} == {
            n: r for n, r in after.items() if n != "accounts"
        }

    def is_true(self) -> None:
        """Check that the warehouse equals the source, every invariant holds, and no run or claim is left over."""
        self.is_true_of_data()
        assert self.rows("select run_id from sync_runs where status = 'running'") == []
        assert self.rows("select * from account_claims") == []
        assert not [row for row in self.rows("select * from sync_runs") if TOKEN in str(row)]

    def is_true_of_data(self) -> None:
        """Check that the current tables equal the source, and that the history keeps its invariants."""
        for account_id in self.world.customer_ids:
            wanted = oracle.expected(self.world.truth(account_id))
            assert not oracle.differences(oracle.current(self.engine, account_id), wanted)
        assert oracle.broken_invariants(self.engine) == []

    def a_day_passes(self) -> None:
        """Let a day pass: numbers are added, removed, moved and changed."""
        self.world.pass_day(share=0.1)

    def lives(self, days: int) -> None:
        """Sync so many days, and let the last one pass, too."""
        for _ in range(days):
            assert self.sync().code == 0
            self.a_day_passes()

    def goes_on(self, days: int) -> None:
        """Take over a warehouse in which another scene has lived so many days: all scenes' days are the same."""
        self.take_over()
        for _ in range(days):
            self.a_day_passes()


def others(stage: Scene, *statements: str) -> None:
    """Execute statements that other people run in the same database with another tool."""
    with stage.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


@contextmanager
def scene(folder: Path, url: str, *, numbers: int = 40, customers: int = 1) -> Iterator[Scene]:
    """A scene whose sandbox listens during the block; the environment has no settings."""
    plans = [CustomerPlan(numbers=numbers) for _ in range(customers)]
    world = World(seed=7, customers=plans, role="customer" if customers == 1 else "agent")
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, contextmanager(listening)(world, folder) as source:
        patch.chdir(folder)
        yield Scene(source, url)
