"""A07: an unusable element of a number is refused alone, and nothing is closed because of it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.domain.runs import AccountResult, RunStatus
from etl.erasure.warehouse import erase_number
from etl.extract.credentials import PermanentKey
from etl.extract.jsonrpc import open_api
from etl.read.history import read_histories
from etl.read.status import read_status
from etl.report.freshness import doubts
from etl.report.history import as_object, heading
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import CustomerPlan, World
from etl.sync.plan import plan
from etl.sync.run import SyncOptions
from etl.workers import pool
from tests.support import oracle
from tests.support.archive_rebuilding import rebuilt, same
from tests.support.rig import TOKEN, URL, Rig

LINKS = ("virtual_number_campaigns", "virtual_number_site_blocks", "virtual_number_scenarios")
NULL_SCENARIO = {"scenario_id": None, "scenario_name": None, "call_processing_rule_id": 1, "is_active": True}
NULL_BLOCK = {"site_block_id": None, "site_block_name": None, "is_tracking": True}


def block(block_id: int, **fields: Any) -> dict[str, Any]:
    return {"site_block_id": block_id, "site_block_name": f"b{block_id}", "is_tracking": True, **fields}


def campaign(campaign_id: object, *blocks: Any, **fields: Any) -> dict[str, Any]:
    place = {"site_id": 5, "site_domain_name": "s.example", "site_blocks": list(blocks)}
    return {"campaign_id": campaign_id, "campaign_name": f"c{campaign_id}", **place, **fields}


def scenario(scenario_id: int, rule: object = 1, **fields: Any) -> dict[str, Any]:
    told = {"scenario_id": scenario_id, "scenario_name": f"s{scenario_id}", "is_active": True}
    return {**told, "call_processing_rule_id": rule, **fields}


@dataclass
class Account:
    """Twelve numbers, of which the first is in two campaigns with three blocks, and has three scenario links."""

    engine: Engine
    archive: Path | None = None
    rig: Rig = field(init=False)
    number: int = field(init=False)

    def __post_init__(self) -> None:
        world = World(seed=2, customers=[CustomerPlan(numbers=12)], role="customer", id_step=9)
        self.rig = Rig(world, self.engine, archive=self.archive)
        self.number = min(world.numbers(self.rig.only))
        self.send(
            campaigns=[campaign(1, block(11), block(12)), campaign(2, block(21))],
            scenarios=[scenario(7), scenario(7, 2), scenario(8)],
        )

    def send(self, number_id: int = 0, **fields: Any) -> bytes:
        """Serve a record, the first number's unless another is named, with these values in its fields."""
        number_id = number_id or self.number
        record = next(r for r in self.rig.world.truth(self.rig.only) if r["id"] == number_id)
        sent = json.dumps(record | fields).encode()
        self.rig.world.put_raw(self.rig.only, number_id, sent)
        return sent

    def sync(self, **options: Any) -> AccountResult:
        return self.rig.sync(**options).accounts[0]

    def links(self) -> dict[str, set[tuple[Any, ...]]]:
        """The keys of the first number's open links, by table, without the number."""
        found = {}
        for name in LINKS:
            keys = oracle.COLUMNS[name].split(", ")[1 : oracle.KEYS[name]]
            rows = self.rig.rows(f"select {', '.join(keys)} from {name} where virtual_number_id = {self.number}")
            found[name] = {tuple(row) for row in rows}
        return found

    def quarantined(self, run_id: int) -> list[tuple[Any, ...]]:
        statement = "select virtual_number_id, path, reason, record from quarantine where run_id = :r order by path"
        return [tuple(row) for row in self.rig.rows(statement, r=run_id)]


@pytest.fixture
def account(warehouse: Engine) -> Account:
    """The account, synced once."""
    account = Account(warehouse)
    assert account.rig.sync().exit_code == 0
    return account


UNUSABLE: dict[str, tuple[str, Any, str]] = {
    "a scenario whose id is null": ("scenarios", [NULL_SCENARIO], "$.scenarios[0].scenario_id"),
    "a scenario without an id": ("scenarios", [scenario(8), {"scenario_name": "x"}], "$.scenarios[1]"),
    "a scenario whose id is too large": ("scenarios", [scenario(2**63)], "$.scenarios[0].scenario_id"),
    "a scenario that is no object": ("scenarios", [None], "$.scenarios[0]"),
    "a rule of another type": ("scenarios", [scenario(7, "x")], "$.scenarios[0].call_processing_rule_id"),
    "an unknown field that is nested too deeply": (
        "scenarios", [scenario(7, deep=json.loads("[" * 70 + "]" * 70))], "$.scenarios[0]",
    ),
    "a campaign whose id is a text": ("campaigns", [campaign("1")], "$.campaigns[0].campaign_id"),
    "a campaign without a list of blocks": ("campaigns", [campaign(1, site_blocks=None)], "$.campaigns[0].site_blocks"),
    "a campaign that is no object": ("campaigns", [campaign(3), 5], "$.campaigns[1]"),
    "a block whose id is null": (
        "campaigns", [campaign(1, NULL_BLOCK)], "$.campaigns[0].site_blocks[0].site_block_id",
    ),
    "a block that is no object": ("campaigns", [campaign(1, block(11), [])], "$.campaigns[0].site_blocks[1]"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.fault("A07")
def test_an_element_that_cannot_be_used_is_quarantined_alone(account: Account, name: str) -> None:
    """The number gets its new comment, the element is quarantined with path and number, and the run ends with 3."""
    array, elements, path = UNUSABLE[name]
    sent = account.send(**{array: elements, "comment": "changed"})
    result = account.rig.sync()
    assert (result.status, result.exit_code, result.accounts[0].quarantined) == (RunStatus.PARTIAL, 3, 1)
    ((number_id, found, reason, record),) = account.quarantined(result.run_id)
    assert (number_id, found) == (account.number, path)
    assert reason
    assert record == sent.decode()
    assert account.rig.rows(f"select comment from virtual_numbers where virtual_number_id = {account.number}") == [
        ("changed",)
    ]
    assert oracle.broken_invariants(account.engine) == []


@pytest.mark.fault("A07")
def test_a_record_is_kept_once_however_many_elements_are_refused(account: Account) -> None:
    """The first row has the whole record, to which every path applies; the others have only the element."""
    sent = account.send(scenarios=[NULL_SCENARIO, scenario(8), 5], campaigns=[campaign(1, NULL_BLOCK)])
    result = account.rig.sync()
    found = [(path, record) for _, path, _, record in account.quarantined(result.run_id)]
    assert found == [
        ("$.campaigns[0].site_blocks[0].site_block_id", sent.decode()),
        ("$.scenarios[0].scenario_id", json.dumps(NULL_SCENARIO)),
        ("$.scenarios[2]", "5"),
    ]


@pytest.mark.fault("A07")
def test_an_element_with_a_field_that_comes_twice_is_quarantined_alone(account: Account) -> None:
    """The intended one of the two values is unknown, so the element is refused; the rest of the record is used."""
    sent = account.send(scenarios=["HERE"], comment="changed")
    twice = sent.replace(b'"HERE"', b'{"scenario_id": 7, "scenario_id": 8}')
    account.rig.world.put_raw(account.rig.only, account.number, twice)
    result = account.rig.sync()
    ((_, path, reason, _),) = account.quarantined(result.run_id)
    assert (result.exit_code, path) == (3, "$.scenarios[0]")
    assert "scenario_id" in reason
    assert account.links()["virtual_number_scenarios"] == {(7, 1), (7, 2), (8, 1)}


ALL: dict[str, set[tuple[Any, ...]]] = {
    "virtual_number_campaigns": {(1,), (2,)},
    "virtual_number_site_blocks": {(1, 11), (1, 12), (2, 21)},
    "virtual_number_scenarios": {(7, 1), (7, 2), (8, 1)},
}
STAYS_OPEN: dict[str, tuple[dict[str, Any], dict[str, set[tuple[Any, ...]]]]] = {
    "a scenario keeps the scenario links that were not seen": (
        {"scenarios": [NULL_SCENARIO, scenario(9)], "campaigns": [campaign(1, block(11))]},
        {
            "virtual_number_campaigns": {(1,)},
            "virtual_number_site_blocks": {(1, 11)},
            "virtual_number_scenarios": {(7, 1), (7, 2), (8, 1), (9, 1)},
        },
    ),
    "a block keeps the block links of campaigns that still hold the number": (
        {"scenarios": [scenario(8)], "campaigns": [campaign(1, NULL_BLOCK, block(13))]},
        {
            "virtual_number_campaigns": {(1,)},
            "virtual_number_site_blocks": {(1, 11), (1, 12), (1, 13)},
            "virtual_number_scenarios": {(8, 1)},
        },
    ),
    "a block of one campaign keeps those of another, for its row names no campaign that can be believed": (
        {"campaigns": [campaign(1, NULL_BLOCK), campaign(2)]},
        {**ALL},
    ),
    "a campaign keeps campaign and block links": (
        {"scenarios": [], "campaigns": [campaign(3, block(31)), campaign(None)]},
        {
            "virtual_number_campaigns": {(1,), (2,), (3,)},
            "virtual_number_site_blocks": {(1, 11), (1, 12), (2, 21), (3, 31)},
            "virtual_number_scenarios": set(),
        },
    ),
}


@pytest.mark.parametrize("name", STAYS_OPEN)
@pytest.mark.fault("A07")
def test_rows_that_were_not_seen_again_stay_open(account: Account, name: str) -> None:
    """The unreadable element may be one of them; links of other kinds close as usual."""
    assert account.links() == ALL
    fields, wanted = STAYS_OPEN[name]
    fields = {"scenarios": [scenario(7), scenario(7, 2), scenario(8)], **fields}
    account.send(**fields)
    account.sync()
    assert account.links() == wanted
    assert oracle.broken_invariants(account.engine) == []
    again = account.sync()
    assert (again.rows_opened, again.rows_closed, again.quarantined) == (0, 0, 1)


@pytest.mark.fault("A07")
def test_what_is_seen_again_in_another_state_changes(account: Account) -> None:
    """A rule that is switched off is stored as off, although another scenario is unreadable."""
    account.send(scenarios=[NULL_SCENARIO, scenario(7, is_active=False)])
    account.sync()
    active = f"select is_active from virtual_number_scenarios where virtual_number_id = {account.number}"
    state = account.rig.rows(f"{active} and scenario_id = 7 and call_processing_rule_id = 1")
    assert [bool(row[0]) for row in state] == [False]
    assert account.links() == ALL


@pytest.mark.fault("A07")
def test_a_sound_record_closes_what_had_stayed_open(account: Account) -> None:
    """Once every element is readable, links that are missing are closed."""
    account.send(scenarios=[NULL_SCENARIO], campaigns=[campaign(1, NULL_BLOCK)])
    account.sync()
    account.send(scenarios=[scenario(8)], campaigns=[campaign(1, block(12))])
    assert account.sync().quarantined == 0
    assert account.links() == {
        "virtual_number_campaigns": {(1,)},
        "virtual_number_site_blocks": {(1, 12)},
        "virtual_number_scenarios": {(8, 1)},
    }


@pytest.mark.fault("A07")
def test_a_number_that_is_proven_gone_closes_with_all_its_links(account: Account) -> None:
    """An earlier unreadable element keeps no link of a removed number open."""
    account.send(scenarios=[NULL_SCENARIO], campaigns=[campaign(None)])
    account.sync()
    account.rig.world.clear_raw(account.rig.only)
    account.rig.world.remove(account.rig.only, account.number)
    assert account.rig.sync().exit_code == 0
    assert account.links() == {name: set() for name in LINKS}
    assert account.rig.rows(f"select * from virtual_numbers where virtual_number_id = {account.number}") == []


@pytest.mark.parametrize("own", [{"status": 5}, {"campaigns": {}}, {"campaigns": None}, {"scenarios": "none"}])
@pytest.mark.fault("A07")
def test_a_record_whose_own_fields_cannot_be_used_is_refused_whole(account: Account, own: dict[str, Any]) -> None:
    """The record has one row in quarantine, also with an unusable element, and the number does not change."""
    before = oracle.current(account.engine, account.rig.only)
    account.send(**{"scenarios": [NULL_SCENARIO], "comment": "changed", **own})
    result = account.rig.sync()
    ((number_id, path, _, record),) = account.quarantined(result.run_id)
    (name,) = own
    assert (number_id, path) == (account.number, f"$.{name}")
    assert json.loads(record)["id"] == account.number
    assert oracle.current(account.engine, account.rig.only) == before


@pytest.mark.fault("A07")
def test_elements_are_not_counted_as_refused_records(account: Account) -> None:
    """Every number has an unusable scenario: all are recorded, and the account does not fail because of them."""
    numbers = account.rig.world.numbers(account.rig.only)
    for number_id in numbers:
        account.send(number_id, scenarios=[NULL_SCENARIO], comment="changed")
    result = account.rig.sync()
    assert (result.exit_code, result.accounts[0].quarantined) == (3, len(numbers))
    assert account.rig.rows("select count(*) from virtual_numbers where comment = 'changed'") == [(len(numbers),)]


@pytest.mark.fault("A07")
def test_each_run_tells_of_it_anew(account: Account) -> None:
    """A partly used record is read every day, also if all others are remembered."""
    account.send(scenarios=[NULL_SCENARIO])
    for _ in range(3):
        result = account.rig.sync()
        assert (result.exit_code, len(account.quarantined(result.run_id))) == (3, 1)


# -- all ways of reading have the same result


def _days(account: Account, dice: random.Random) -> Iterator[None]:
    """Days on which elements become unusable and usable again while numbers change."""
    world, only = account.rig.world, account.rig.only
    shapes = [fields for fields, _ in STAYS_OPEN.values()] + [{array: [*e]} for array, e, _ in UNUSABLE.values()]
    for _ in range(6):
        world.clear_raw(only)
        world.pass_day(share=0.2)
        alive = sorted(world.numbers(only))
        for number_id in dice.sample(alive, 3):
            account.send(number_id, **dice.choice(shapes))
        yield


def _heads(engine: Engine) -> list[Any]:
    columns = "observed_at, quarantined, conflicts, rows_opened, rows_closed, chain_digest"
    with engine.connect() as connection:
        return list(connection.execute(text(f"select {columns} from account_syncs order by observed_at")))


def _refused(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(
            map(str, connection.execute(text("select virtual_number_id, path, reason, record from quarantine")))
        )


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.fault("A07")
def test_with_shortcuts_and_without_the_heads_are_the_same(
    warehouse: Engine, other_warehouse: Engine, seed: int
) -> None:
    """The memory of a listing saves work and changes no result, for any unreadable elements."""
    short, long = Account(warehouse), Account(other_warehouse)
    for _ in zip(_days(short, random.Random(seed)), _days(long, random.Random(seed)), strict=True):
        short.sync(page_limit=5)
        long.sync(page_limit=5, shortcuts=False)
    assert _heads(short.engine) == _heads(long.engine)
    assert _refused(short.engine) == _refused(long.engine)
    assert oracle.current(short.engine, short.rig.only) == oracle.current(long.engine, long.rig.only)


@pytest.mark.fault("A07")
def test_a_first_load_by_a_process_beside_is_the_same(warehouse: Engine, other_warehouse: Engine) -> None:
    """Rows, quarantine and head do not depend on the process that transforms."""
    inline, helped = Account(warehouse), Account(other_warehouse)
    with pool.transformers(worth_it=1) as transformers:
        for account, more in ((inline, {}), (helped, {"transformers": transformers})):
            account.send(scenarios=[NULL_SCENARIO, scenario(7)], campaigns=[campaign(1, NULL_BLOCK), campaign("2")])
            assert account.sync(page_limit=5, **more).quarantined == 3
    assert _heads(inline.engine) == _heads(helped.engine)
    assert _refused(inline.engine) == _refused(helped.engine)
    assert inline.links() == {
        "virtual_number_campaigns": {(1,)},
        "virtual_number_site_blocks": set(),
        "virtual_number_scenarios": {(7, 1)},
    }
    assert helped.links() == inline.links()


@pytest.mark.fault("A07")
def test_a_replay_comes_to_the_same_heads(warehouse: Engine, other_warehouse: Engine, tmp_path: Path) -> None:
    """The archive has the answers; on replay the same elements are refused and the same rows stay open."""
    account = Account(warehouse, archive=tmp_path / "archive")
    for _ in _days(account, random.Random(3)):
        account.sync()
    done = rebuilt(account.rig, other_warehouse)
    assert done.mismatches == {}
    same(account.rig, other_warehouse)


@pytest.mark.fault("A07")
def test_a_plan_says_what_the_sync_does(account: Account) -> None:
    """The plan has the same changes and quarantine as the sync."""
    account.send(scenarios=[NULL_SCENARIO], campaigns=[campaign(3, NULL_BLOCK)], comment="changed")
    rig = account.rig
    with open_api(
        URL, PermanentKey(TOKEN), clock=rig.clock, random=random.Random(3), report=rig.events.append,
        transport=SandboxTransport(rig.api),
    ) as api:  # fmt: skip
        planned = plan(api, rig.engine, options=SyncOptions(), clock=rig.clock, report=rig.events.append).accounts[0]
    done = account.sync()
    assert (planned.result.quarantined, done.quarantined) == (2, 2)
    assert planned.result.changes == done.changes
    assert done.rows_closed > 0


# -- reports to users


@pytest.mark.fault("A07")
def test_history_and_status_say_that_what_is_shown_may_be_older(account: Account) -> None:
    """While the last observation could not use all of the record, text and JSON name the place; afterwards not."""
    account.send(scenarios=[NULL_SCENARIO])
    account.sync()
    (life,) = read_histories(account.engine, str(account.number))
    (refused,) = life.quarantined
    assert refused.path == "$.scenarios[0].scenario_id"
    told = heading(life, None)
    assert "$.scenarios[0].scenario_id" in told
    assert "may be older" in told
    (match,) = as_object(str(account.number), [life], None)["matches"]
    assert match["quarantined"] == [{"path": refused.path, "reason": refused.reason}]
    status = read_status(account.engine, account.rig.clock.now())
    assert status.accounts[0].quarantined == 1
    assert ["may be older" in sentence for sentence in doubts(status.accounts)] == [True]
    moment = account.rig.clock.now()
    account.rig.world.clear_raw(account.rig.only)
    account.sync()
    (life,) = read_histories(account.engine, str(account.number))
    assert (life.quarantined, list(doubts(read_status(account.engine, moment).accounts)) != []) == ((), True)
    assert list(doubts(read_status(account.engine, account.rig.clock.now()).accounts)) == []
    (then,) = read_histories(account.engine, str(account.number), moment=moment)
    assert then.quarantined == (refused,)


@pytest.mark.fault("A07")
def test_history_tells_of_a_record_that_was_refused_whole(account: Account) -> None:
    """The number is shown in its last known state, and the heading gives the reason."""
    account.send(status=5)
    account.sync()
    (life,) = read_histories(account.engine, str(account.number))
    assert [q.path for q in life.quarantined] == ["$.status"]
    assert "may be older" in heading(life, None)


@pytest.mark.fault("A07")
def test_an_erasure_takes_elements_too(account: Account) -> None:
    """All records of the number in quarantine are found by its id."""
    account.send(scenarios=[NULL_SCENARIO | {"note": "call Ann"}], campaigns=[None])
    account.sync()
    erased = erase_number(account.engine, account.rig.only, account.number, now=account.rig.clock.now(), reason="asked")
    assert erased.quarantined == 2
    assert account.rig.rows("select count(*) from quarantine where record like '%Ann%'") == [(0,)]
