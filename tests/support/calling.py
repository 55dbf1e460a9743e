"""Single method calls over real sockets, on the fake clock, for events between a request and its answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from etl.domain.events import Event
from etl.extract.connection import Bounds
from etl.extract.credentials import Credentials, PermanentKey
from etl.extract.jsonrpc import DataApi, open_api
from etl.sandbox.api import Api
from tests.support.raw_server import RawServer, Script, honest, serving
from tests.support.rig import FakeClock
from tests.support.secrets import CANARY
from tests.support.source_case import QUICK, one_customer


@dataclass
class Caller:
    """A client and its server."""

    api: DataApi
    server: RawServer
    clock: FakeClock
    events: list[Event] = field(default_factory=list)

    def account(self) -> bytes:
        """The data of `get.account`: a small answer."""
        return bytes(self.api.call("get.account").data)


@contextmanager
def connected(
    server: RawServer,
    *,
    url: str = "",
    bounds: Bounds = QUICK,
    credentials: Credentials | None = None,
    patience: float = 300.0,
    seed: int = 1,
) -> Iterator[Caller]:
    """A client of the server. `url`: the server's address for the client; `patience`: seconds of retries."""
    clock, events = FakeClock(), list[Event]()
    key = credentials or PermanentKey(CANARY)
    where, dice = url or server.url, random.Random(seed)
    told = events.append
    with open_api(where, key, clock=clock, random=dice, report=told, bounds=bounds, retry_max_seconds=patience) as api:
        yield Caller(api, server, clock, events)


@contextmanager
def calling(script: Script = honest, *, bounds: Bounds = QUICK, patience: float = 300.0) -> Iterator[Caller]:
    """A client of a raw server that serves the small world."""
    api = Api(one_customer(), token=CANARY)
    with serving(api, script) as server, connected(server, bounds=bounds, patience=patience) as caller:
        yield caller
