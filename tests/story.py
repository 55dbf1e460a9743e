"""A customer of two numbers whose API tells a story, day by day, in literal records."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
from sqlalchemy import Engine

from etl.extract.credentials import PermanentKey
from etl.extract.jsonrpc import open_api
from etl.pipeline import SyncOptions, sync
from tests import oracle
from tests.rig import TOKEN, URL, FakeClock

Record = dict[str, Any]


class Story(httpx.BaseTransport):
    """The API of customer 7, who has the numbers that the day says."""

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


ONE, TWO = {"number_id": 1, "phone": "+7495001"}, {"number_id": 2, "phone": "+7495002"}
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
"""A campaign renamed; a number moved and another commented; a number gone and a site renamed; the number back."""


def tell(warehouse: Engine, days: dict[str, list[Record]], **options: Any) -> None:
    story, clock, chance = Story(), FakeClock(), random.Random(1)
    for day, numbers in days.items():
        story.numbers = numbers
        clock.pass_time(86_400)
        assert f"{clock.now():%Y-%m-%d}" == day
        surroundings: dict[str, Any] = {"clock": clock, "random": chance, "report": lambda _event: None}
        with open_api(URL, PermanentKey(TOKEN), transport=story, **surroundings) as api:
            assert sync(api, warehouse, options=SyncOptions(**options), **surroundings).exit_code == 0
    assert oracle.broken_invariants(warehouse) == []
