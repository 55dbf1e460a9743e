"""A simulated account that lives between syncs: numbers move at any second, also while a listing is read.

`live` syncs it on a beat and keeps the truth: the campaigns of each number at each instant. Some moves are taken back
within minutes or hours, so that no observation may see them.
"""

from __future__ import annotations

import heapq
import itertools
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import Engine

from etl.extract.credentials import PermanentKey
from etl.extract.jsonrpc import open_api
from etl.sandbox.api import Api
from etl.sandbox.records import ScenarioLink
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.sync.run import SyncOptions, sync

TOKEN = "benchmark-token"
START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
ABROAD = (60.0, 5 * 3_600.0)
"""Shortest and longest time, in seconds, after which a move is taken back."""
Campaigns = frozenset[int] | None
"""Campaigns of a number at an instant; None: there is no such number."""


@dataclass
class Truth:
    """Campaigns of each number by instant, ascending, and phone numbers by id."""

    phones: dict[int, str] = field(default_factory=dict)
    instants: dict[int, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    campaigns: dict[int, list[Campaigns]] = field(default_factory=lambda: defaultdict(list))

    def put(self, number_id: int, instant: datetime, campaigns: Campaigns) -> None:
        self.instants[number_id].append(instant)
        self.campaigns[number_id].append(campaigns)

    def at(self, number_id: int, instant: datetime) -> Campaigns:
        place = bisect_right(self.instants[number_id], instant)
        return self.campaigns[number_id][place - 1] if place else None

    def between(self, number_id: int, start: datetime, end: datetime) -> list[tuple[datetime, Campaigns]]:
        """The state at `start`, and each later one up to `end`, with its begin."""
        instants = self.instants[number_id]
        low, high = bisect_right(instants, start), bisect_right(instants, end)
        later = zip(instants[low:high], self.campaigns[number_id][low:high], strict=True)
        return [(start, self.at(number_id, start)), *later]


class Clock:
    """A clock whose time passes when it is told to; the world changes meanwhile."""

    def __init__(self, passing: Callable[[datetime], None]) -> None:
        self._now, self._passing = START, passing

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._passing(self._now)


class Life:
    """The changes of one account: `share` of its numbers a day, each at an instant of its own."""

    def __init__(self, numbers: int, share: float, seed: int) -> None:
        self._dice = random.Random(seed)
        self.world = World(seed=seed, customers=[CustomerPlan(numbers=numbers)], role="customer", id_step=7)
        self.truth = Truth()
        self._queue: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._ids = itertools.count()
        self._mean = 86_400 / (numbers * share)
        (self._account,) = self.world.customer_ids
        for number_id in self.world.numbers(self._account):
            self._keep(number_id, START)
        self._plan(START, self._change)

    def pass_to(self, now: datetime) -> None:
        """Let everything happen that is due by now."""
        while self._queue and self._queue[0][0] <= now:
            instant, _, work = heapq.heappop(self._queue)
            work(instant)

    def _plan(self, instant: datetime, work: Callable[[datetime], None]) -> None:
        heapq.heappush(self._queue, (instant, next(self._ids), work))

    def _change(self, instant: datetime) -> None:
        self._plan(instant + timedelta(seconds=self._dice.expovariate(1 / self._mean)), self._change)
        chance, world, account = self._dice.random(), self.world, self._account
        if chance < 0.1:
            for added in world.add(account):
                self._keep(added, instant)
            return
        number_id = self._dice.choice(world.numbers(account))
        if chance < 0.2:
            world.remove(account, number_id)
            self.truth.put(number_id, instant, None)
        elif chance < 0.3:
            world.edit(account, number_id, comment=f"comment of {instant:%X}")
        elif chance < 0.35:
            campaign_id = self._dice.choice(world.campaign_ids(account))
            world.rename_campaign(account, campaign_id, f"name of {instant:%c}")
        else:
            self._move(number_id, instant, back=chance > 0.9)

    def _move(self, number_id: int, instant: datetime, *, back: bool) -> None:
        before = self._campaigns(number_id)
        others = [c for c in self.world.campaign_ids(self._account) if c not in before]
        self.world.move(self._account, number_id, self._dice.choice([*others, None]))
        self._keep(number_id, instant)
        if back and len(before) < 2:
            after = timedelta(seconds=self._dice.uniform(*ABROAD))
            self._plan(instant + after, lambda then: self._return(number_id, next(iter(before), None), then))

    def _return(self, number_id: int, campaign_id: int | None, instant: datetime) -> None:
        if number_id in self.world.customer(self._account):
            self.world.move(self._account, number_id, campaign_id)
            self._keep(number_id, instant)

    def _campaigns(self, number_id: int) -> frozenset[int]:
        links = self.world.customer(self._account).row(number_id).campaigns.links
        return frozenset(link.campaign.id for link in links if not isinstance(link, ScenarioLink))

    def _keep(self, number_id: int, instant: datetime) -> None:
        phone = self.world.customer(self._account).row(number_id).head.virtual_phone_number
        assert phone is not None
        self.truth.phones[number_id] = phone
        self.truth.put(number_id, instant, self._campaigns(number_id))


class SlowTransport(SandboxTransport):
    """Transport on which time passes before and after each answer."""

    def __init__(self, api: Api, clock: Clock, latency: float) -> None:
        super().__init__(api)
        self._clock, self._latency = clock, latency

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self._clock.sleep(self._latency / 2)
        response = super().handle_request(request)
        self._clock.sleep(self._latency / 2)
        return response


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An account of so many numbers, of which `share` change a day; it is synced every `beat` seconds for some days.

    `latency`: seconds between a request and its answer; `page_limit`: the most numbers in one answer.
    """

    numbers: int
    days: float
    beat: float
    share: float
    latency: float = 0.7
    page_limit: int = SyncOptions().page_limit
    seed: int = 1


def live(engine: Engine, plan: Plan) -> Truth:
    """Let the account live, and sync it into an empty warehouse. Returns the truth."""
    migrations.upgrade(engine)
    life = Life(plan.numbers, plan.share, plan.seed)
    clock, dice = Clock(life.pass_to), random.Random(plan.seed)
    api = Api(life.world, token=TOKEN, now=lambda: clock.now().timestamp())
    transport = SlowTransport(api, clock, plan.latency)
    options = SyncOptions(max_close_share=1.0, page_limit=plan.page_limit)
    end, due = START + timedelta(days=plan.days), START + timedelta(seconds=min(plan.beat, plan.days * 86_400 / 20))
    while due <= end:
        clock.sleep(max(0.0, (due - clock.now()).total_seconds()))
        _sync(engine, transport, clock, dice, options)
        due += timedelta(seconds=plan.beat)
    clock.sleep(max(0.0, (end - clock.now()).total_seconds()))
    return life.truth


def _sync(
    engine: Engine, transport: httpx.BaseTransport, clock: Clock, dice: random.Random, options: SyncOptions
) -> None:
    told: dict[str, Any] = {"clock": clock, "random": dice, "report": lambda _: None}
    with open_api("https://sandbox.example/v2.0", PermanentKey(TOKEN), transport=transport, **told) as source:
        result = sync(source, engine, options=options, **told)
    assert result.exit_code == 0, result
