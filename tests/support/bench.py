"""Bench for tests of a listing: a customer's own API in-process with small answers, and a client of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from etl.extract.credentials import PermanentKey
from etl.extract.jsonrpc import DataApi, open_api
from etl.extract.listing import Listing
from etl.sandbox.api import Api
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import CustomerPlan, World
from tests.support.rig import TOKEN, URL, FakeClock

LIMIT = 50


@dataclass
class Bench:
    """A customer's own API in-process, and a client of it."""

    world: World
    api: Api
    client: DataApi

    @property
    def account(self) -> int:
        return self.world.customer_ids[0]

    @property
    def ids(self) -> list[int]:
        return sorted(self.world.numbers(self.account))

    def listing(self, known: Sequence[int] = ()) -> Listing:
        return Listing(self.client, user_id=None, known=known, limit=LIMIT)

    def asked(self) -> list[dict[str, Any]]:
        """The parameters of the listing requests received."""
        return [params for method, params in self.api.requests if method == "get.virtual_numbers"]


Open = Callable[[int], Bench]


@contextmanager
def benches() -> Iterator[Open]:
    """A function that makes benches with a given count of numbers; their clients are closed afterwards."""
    with ExitStack() as stack:

        def make(numbers: int) -> Bench:
            world = World(seed=5, customers=[CustomerPlan(numbers=numbers)], role="customer", id_step=13)
            clock = FakeClock()
            api = Api(world, token=TOKEN, now=lambda: clock.time.timestamp())
            client = open_api(
                URL,
                PermanentKey(TOKEN),
                clock=clock,
                random=random.Random(1),
                report=lambda _event: None,
                transport=SandboxTransport(api),
            )
            return Bench(world, api, stack.enter_context(client))

        yield make
