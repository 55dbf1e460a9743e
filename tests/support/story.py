"""Story: a customer of two numbers whose API answers with literal records, day by day."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar

import httpx
from sqlalchemy import Engine

from etl.domain.events import Event
from etl.extract.credentials import PermanentKey
from etl.extract.jsonrpc import open_api
from etl.sync.run import SyncOptions, sync
from tests.support import oracle
from tests.support.rig import TOKEN, URL, FakeClock

Record = dict[str, Any]
T = TypeVar("T")


class Story(httpx.BaseTransport):
    """API of customer 7, with the numbers of the day."""

    def __init__(self) -> None:
        self.numbers: list[Record] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = json.loads(request.read())
        body = json.dumps({"jsonrpc": "2.0", "id": call["id"], **self._answer(call)}).encode()
        return httpx.Response(200, stream=httpx.ByteStream(body))

    def _answer(self, call: Record) -> Record:
        if call["method"] == "get.customer_users":
            return {"error": {"code": -32003, "message": "no", "data": {"mnemonic": "forbidden", "metadata": {}}}}
        rows = [{"app_id": 7, "name": "Seven", "timezone": "Europe/Moscow"}]
        if call["method"] == "get.virtual_numbers":
            wanted = call["params"].get("filter")
            rows = [n for n in self.numbers if wanted is None or n["id"] in wanted["value"]]
        return {"result": {"data": rows, "metadata": {"total_items": len(rows)}}}


NAMES = {51: "Alpha", 52: "Beta"}


class Agency(Story):
    """API of an agent whose customers have the numbers of the day; each customer has one user.

    An answer takes a second, so that no two customers are observed at the same moment.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.customers: dict[int, list[Record]] = {}
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._clock.pass_time(1)
        return super().handle_request(request)

    def _answer(self, call: Record) -> Record:
        customer = call["params"].get("user_id", 0) - 900
        rows: list[Record] = [{"id": 900 + c, "customer_id": c} for c in self.customers]
        if call["method"] == "get.customers":
            rows = [{"id": c, "name": NAMES[c]} for c in self.customers]
        if call["method"] == "get.account":
            rows = [{"app_id": customer, "name": NAMES[customer], "timezone": None}]
        if call["method"] == "get.virtual_numbers":
            self.numbers = self.customers[customer]
            return super()._answer(call)
        return {"result": {"data": rows, "metadata": {"total_items": len(rows)}}}


def campaign(campaign_id: int, name: str, domain: str, *, tracked: bool | None = None) -> Record:
    block = {"site_block_id": 30, "site_block_name": "header", "is_tracking": tracked}
    blocks = [] if tracked is None else [block]
    site = {"site_id": 5, "site_domain_name": domain}
    return {"campaign_id": campaign_id, "campaign_name": name, **site, "site_blocks": blocks}


def scenario(scenario_id: int, name: str, *, rule: int = 1, is_active: bool = True) -> Record:
    told = {"scenario_id": scenario_id, "scenario_name": name}
    return {**told, "call_processing_rule_id": rule, "is_active": is_active}


def number(number_id: int, phone: str, **fields: Any) -> Record:
    nothing = dict.fromkeys(
        ("child_customer_id", "redirection_phone_number", "activation_date", "comment", "name"), None
    )
    kind = {"status": "active", "category": "usual", "type": "va"}
    return {
        "id": number_id, "virtual_phone_number": phone, **nothing, **kind, "campaigns": [], "scenarios": [], **fields,
    }  # fmt: skip


class Named(TypedDict):
    """Required arguments of `number`."""

    number_id: int
    phone: str


ONE: Named = {"number_id": 1, "phone": "+7495001"}
TWO: Named = {"number_id": 2, "phone": "+7495002"}
SCENARIOS = [scenario(40, "Hello"), scenario(40, "Hello", rule=2), scenario(41, "Bye")]
DAYS: dict[str, list[Record]] = {
    "2026-01-06": [
        number(**ONE, campaigns=[campaign(10, "Spring", "a.example", tracked=True)], scenarios=SCENARIOS),
        number(**TWO),
    ],
    "2026-01-07": [
        number(**ONE, campaigns=[campaign(10, "Summer", "a.example", tracked=True)], scenarios=SCENARIOS),
        number(**TWO),
    ],
    "2026-01-08": [
        number(**ONE, campaigns=[campaign(11, "Winter", "a.example", tracked=False)], scenarios=SCENARIOS),
        number(**TWO, comment="spare"),
    ],
    "2026-01-09": [number(**ONE, campaigns=[campaign(11, "Winter", "b.example", tracked=False)], scenarios=SCENARIOS)],
    "2026-01-10": [
        number(**ONE, campaigns=[campaign(11, "Winter", "b.example", tracked=False)], scenarios=SCENARIOS),
        number(**TWO, comment="spare"),
    ],
}
"""Days: a campaign renamed; a number moved, another commented; a number removed, a site renamed; the number back."""


def tell(warehouse: Engine, days: dict[str, list[Record]], **options: Any) -> None:
    """Make one run of customer 7 for each day; each must succeed."""
    story = Story()

    def turn(numbers: list[Record]) -> None:
        story.numbers = numbers

    _tell(warehouse, story, FakeClock(), days, turn, **options)


def tell_agency(warehouse: Engine, days: dict[str, dict[int, list[Record]]], **options: Any) -> list[list[Event]]:
    """Make one run of an agent for each day; each must succeed. Returns the events of each day."""
    clock = FakeClock()
    story = Agency(clock)

    def turn(customers: dict[int, list[Record]]) -> None:
        story.customers = customers

    return _tell(warehouse, story, clock, days, turn, concurrency=1, **options)


def _tell(
    warehouse: Engine,
    story: Story,
    clock: FakeClock,
    days: Mapping[str, T],
    turn: Callable[[T], None],
    **options: Any,
) -> list[list[Event]]:
    chance = random.Random(1)
    told: list[list[Event]] = []
    for day, world in days.items():
        turn(world)
        clock.pass_time(86_400)
        assert f"{clock.now():%Y-%m-%d}" == day
        told.append([])
        surroundings: dict[str, Any] = {"clock": clock, "random": chance, "report": told[-1].append}
        with open_api(URL, PermanentKey(TOKEN), transport=story, **surroundings) as api:
            assert sync(api, warehouse, options=SyncOptions(**options), **surroundings).exit_code == 0
    assert oracle.broken_invariants(warehouse) == []
    return told
