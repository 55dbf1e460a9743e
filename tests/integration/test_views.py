"""The three views that people ask, on both databases, over a story of five days told in literal records."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

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


def _campaign(campaign_id: int, name: str, domain: str, *, tracked: bool | None = None) -> Record:
    block = {"site_block_id": 30, "site_block_name": "header", "is_tracking": tracked}
    blocks = [] if tracked is None else [block]
    site = {"site_id": 5, "site_domain_name": domain}
    return {"campaign_id": campaign_id, "campaign_name": name, **site, "site_blocks": blocks}


def _scenario(scenario_id: int, name: str, *, rule: int = 1, is_active: bool = True) -> Record:
    told = {"scenario_id": scenario_id, "scenario_name": name}
    return {**told, "call_processing_rule_id": rule, "is_active": is_active}


def _number(number_id: int, phone: str, **fields: Any) -> Record:
    nothing = dict.fromkeys(
        ("child_customer_id", "redirection_phone_number", "activation_date", "comment", "name"), None
    )
    kind = {"status": "active", "category": "usual", "type": "va"}
    return {
        "id": number_id, "virtual_phone_number": phone, **nothing, **kind, "campaigns": [], "scenarios": [], **fields,
    }  # fmt: skip


ONE, TWO = {"number_id": 1, "phone": "+7495001"}, {"number_id": 2, "phone": "+7495002"}
SCENARIOS = [_scenario(40, "Hello"), _scenario(40, "Hello", rule=2), _scenario(41, "Bye")]
DAYS: dict[str, list[Record]] = {
    "2026-01-06": [
        _number(**ONE, campaigns=[_campaign(10, "Spring", "a.example", tracked=True)], scenarios=SCENARIOS),
        _number(**TWO),
    ],
    "2026-01-07": [
        _number(**ONE, campaigns=[_campaign(10, "Summer", "a.example", tracked=True)], scenarios=SCENARIOS),
        _number(**TWO),
    ],
    "2026-01-08": [
        _number(**ONE, campaigns=[_campaign(11, "Winter", "a.example", tracked=False)], scenarios=SCENARIOS),
        _number(**TWO, comment="spare"),
    ],
    "2026-01-09": [
        _number(**ONE, campaigns=[_campaign(11, "Winter", "b.example", tracked=False)], scenarios=SCENARIOS)
    ],
    "2026-01-10": [
        _number(**ONE, campaigns=[_campaign(11, "Winter", "b.example", tracked=False)], scenarios=SCENARIOS),
        _number(**TWO, comment="spare"),
    ],
}
"""A campaign renamed; a number moved and another commented; a number gone and a site renamed; the number back."""


def _tell(warehouse: Engine, days: dict[str, list[Record]]) -> None:
    story, clock, chance = Story(), FakeClock(), random.Random(1)
    for day, numbers in days.items():
        story.numbers = numbers
        clock.pass_time(86_400)
        assert f"{clock.now():%Y-%m-%d}" == day
        surroundings: dict[str, Any] = {"clock": clock, "random": chance, "report": lambda _event: None}
        with open_api(URL, PermanentKey(TOKEN), transport=story, **surroundings) as api:
            assert sync(api, warehouse, options=SyncOptions(), **surroundings).exit_code == 0
    assert oracle.broken_invariants(warehouse) == []


@pytest.fixture
def told(warehouse: Engine) -> Engine:
    """A warehouse after the five days."""
    _tell(warehouse, DAYS)
    return warehouse


def _rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def _day(moment: object) -> str | None:
    return None if moment is None else str(moment)[:10]


def test_number_assignments_say_who_is_where_now(told: Engine) -> None:
    """One row for each number, campaign and block, with all names; a number without a campaign has a row too."""
    columns = (
        "account_name, virtual_number_id, virtual_phone_number, comment, campaign_name, site_domain_name,"
        " site_block_name, is_tracking, scenario_names"
    )
    rows = _rows(told, f"select {columns} from number_assignments order by virtual_number_id")
    assert [(*row[:7], None if row[7] is None else bool(row[7]), row[8]) for row in rows] == [
        ("Seven", 1, "+7495001", None, "Winter", "b.example", "header", False, "Bye, Hello"),
        ("Seven", 2, "+7495002", "spare", None, None, None, None, None),
    ]


def test_number_campaign_periods_keep_the_names_as_they_were(told: Engine) -> None:
    """Half-open periods without gap or overlap, cut where the campaign, its name or its site's name changed."""
    rows = _rows(
        told,
        "select virtual_number_id, campaign_id, campaign_name, site_domain_name, valid_from, valid_to"
        " from number_campaign_periods order by valid_from",
    )
    assert [(*row[:4], _day(row[4]), _day(row[5])) for row in rows] == [
        (1, 10, "Spring", "a.example", "2026-01-06", "2026-01-07"),
        (1, 10, "Summer", "a.example", "2026-01-07", "2026-01-08"),
        (1, 11, "Winter", "a.example", "2026-01-08", "2026-01-09"),
        (1, 11, "Winter", "b.example", "2026-01-09", None),
    ]


CALLS = {
    "2026-01-06 05:59:59": [],
    "2026-01-06 06:00:00": ["Spring"],
    "2026-01-07 05:59:59": ["Spring"],
    "2026-01-07 06:00:00": ["Summer"],
    "2026-01-12 00:00:00": ["Winter"],
}


def test_the_attribution_join_finds_one_campaign_for_a_call(told: Engine) -> None:
    """The contract's own condition: at each moment at most one campaign, the upper edge belonging to the next."""
    found = {}
    for moment in CALLS:
        call = f"'{moment}.000000'" if told.name == "sqlite" else f"timestamptz '{moment}+00'"
        rows = _rows(
            told,
            "select campaign_name from number_campaign_periods where virtual_phone_number = '+7495001'"
            f" and {call} >= valid_from and (valid_to is null or {call} < valid_to)",
        )
        found[moment] = [name for (name,) in rows]
    assert found == CALLS


def _changes(engine: Engine) -> list[tuple[Any, ...]]:
    columns = "observed_at, previous_observed_at, entity, key, change, what"
    rows = _rows(engine, f"select {columns} from changes where account_id = 7")

    def plain(value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    return [
        (_day(row[0]), _day(row[1]), row[2], plain(row[3]), row[4], plain(row[5])["before"], plain(row[5])["after"])
        for row in rows
    ]


def test_changes_tell_each_day_once(told: Engine) -> None:
    """Day by day what was added, changed and removed, with the window in which it happened."""
    by_day = sorted((row[0], row[2], row[4]) for row in _changes(told) if row[0] > "2026-01-06")
    assert by_day == [
        ("2026-01-07", "campaign", "changed"),
        ("2026-01-08", "campaign", "added"),
        ("2026-01-08", "campaign", "removed"),
        ("2026-01-08", "campaign of a number", "added"),
        ("2026-01-08", "campaign of a number", "removed"),
        ("2026-01-08", "number", "changed"),
        ("2026-01-08", "site block of a number", "added"),
        ("2026-01-08", "site block of a number", "removed"),
        ("2026-01-09", "number", "removed"),
        ("2026-01-09", "site", "changed"),
        ("2026-01-10", "number", "added"),
    ]
    first = [row for row in _changes(told) if row[0] == "2026-01-06"]
    assert len(first) == 12
    assert {(row[1], row[4], row[5]) for row in first} == {(None, "added", None)}
    assert {row[1] for row in _changes(told) if row[0] == "2026-01-09"} == {"2026-01-08"}


def test_changes_say_what_it_was_and_what_it_is(told: Engine) -> None:
    """The key by its columns' names, and the values before and after; what is removed has no after."""
    rows = {(row[0], row[2]): row[3:] for row in _changes(told) if row[2] in ("campaign", "site") and row[4] != "added"}
    spring, summer = ({"campaign_name": name, "site_id": 5, "extra": None} for name in ("Spring", "Summer"))
    assert rows == {
        ("2026-01-07", "campaign"): ({"campaign_id": 10}, "changed", spring, summer),
        ("2026-01-08", "campaign"): ({"campaign_id": 10}, "removed", summer, None),
        ("2026-01-09", "site"): (
            {"site_id": 5}, "changed", {"site_domain_name": "a.example"}, {"site_domain_name": "b.example"},
        ),
    }  # fmt: skip


def test_changes_tell_truth_values_alike_on_both_databases(told: Engine) -> None:
    """A truth value in `what` is true or false in JSON, whichever database answers."""
    told_of = [row[5] or row[6] for row in _changes(told) if row[2] == "site block of a number"]
    assert sorted((value["is_tracking"] for value in told_of), key=str) == [False, True, True]
    assert all(isinstance(value["is_tracking"], bool) for value in told_of)


def test_scenario_names_are_alike_on_both_databases(warehouse: Engine) -> None:
    """Two scenarios of one name are named once, and names are in one order, whichever database answers."""
    scenarios = [_scenario(1, "Same"), _scenario(2, "Same"), _scenario(3, "Again")]
    _tell(warehouse, {"2026-01-06": [_number(**ONE, scenarios=scenarios)]})
    assert _rows(warehouse, "select scenario_names from number_assignments") == [("Again, Same",)]
