"""Rig: a sandbox, a warehouse and a clock, connected to the pipeline, for tests of the whole."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from etl.archive.recorder import Recorder
from etl.domain.events import Event
from etl.domain.recorder import NO_RECORDER
from etl.domain.runs import RunResult
from etl.extract.accounts import discover
from etl.extract.credentials import Credentials, PermanentKey
from etl.extract.jsonrpc import open_api
from etl.sandbox.api import Api
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import World
from etl.sync.roster_lease import FindRoster
from etl.sync.run import SyncOptions, sync
from etl.workers.transformers import Transformers, inline
from tests.support.secrets import CANARY

TOKEN = CANARY
URL = "https://dataapi.example/v2.0"


class FakeClock:
    """Clock whose time passes only by a pause or on request."""

    def __init__(self, start: datetime = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)) -> None:
        self.time, self.ticks = start, 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.ticks += seconds


@dataclass
class Rig:
    """One world and one warehouse; each call of `sync` is one run, a day after the last."""

    world: World
    engine: Engine
    clock: FakeClock = field(default_factory=FakeClock)
    random: random.Random = field(default_factory=lambda: random.Random(1))
    events: list[Event] = field(default_factory=list)
    archive: Path | None = None
    url: str = URL
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = Api(self.world, token=TOKEN, now=lambda: self.clock.time.timestamp())

    def sync(
        self,
        *,
        credentials: Credentials | None = None,
        retry_max_seconds: float = 300.0,
        transformers: Transformers = inline,
        find_roster: FindRoster = discover,
        **options: Any,
    ) -> RunResult:
        """Make one run, a day after the last."""
        self.clock.pass_time(86_400)
        recorder = Recorder(self.archive, self.events.append) if self.archive else None
        with open_api(
            self.url,
            credentials or PermanentKey(TOKEN),
            clock=self.clock,
            random=self.random,
            report=self.events.append,
            retry_max_seconds=retry_max_seconds,
            transport=SandboxTransport(self.api),
            tap=recorder.received if recorder else None,
        ) as api:
            return sync(
                api,
                self.engine,
                options=SyncOptions(**options),
                clock=self.clock,
                random=self.random,
                report=self.events.append,
                recorder=recorder or NO_RECORDER,
                transformers=transformers,
                find_roster=find_roster,
            )

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """The rows of a query."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), parameters))

    @property
    def only(self) -> int:
        """The id of the only account."""
        (account_id,) = self.world.customer_ids
        return account_id
