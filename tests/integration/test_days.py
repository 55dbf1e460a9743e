"""Syncs day after day, on both databases: current tables equal the API, and every earlier day can be rebuilt."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import Engine

from etl.sandbox.records import Edition
from etl.sandbox.world import CustomerPlan, World
from tests.support import oracle
from tests.support.rig import Rig


def _rig(engine: Engine, numbers: int, *, step: int = 37, edition: Edition = "newer") -> Rig:
    world = World(seed=11, customers=[CustomerPlan(numbers=numbers)], role="customer", edition=edition, id_step=step)
    return Rig(world, engine)


def _equals_truth(rig: Rig) -> None:
    for account_id in rig.world.customer_ids:
        wanted = oracle.expected(rig.world.truth(account_id))
        assert not oracle.differences(oracle.current(rig.engine, account_id), wanted)
        assert not oracle.differences(oracle.open_versions(rig.engine, account_id), wanted)


@pytest.mark.soak
def test_five_days_of_25_000_sparse_numbers(warehouse: Engine) -> None:
    """After every day the current tables equal the API's truth, and every earlier day is rebuilt from the history."""
    rig = _rig(warehouse, 25_000)
    days: list[tuple[datetime, oracle.Tables]] = []
    for _ in range(6):
        result = rig.sync()
        assert (result.exit_code, result.accounts[0].status) == (0, "succeeded")
        _equals_truth(rig)
        observed_at = result.accounts[0].observed_at
        assert observed_at is not None
        days.append((observed_at, oracle.expected(rig.world.truth(rig.only))))
        changes = rig.world.pass_day(share=0.02)
        assert min(changes.removed, changes.added, changes.moved, changes.renamed_campaigns) > 0
    for observed_at, truth in days:
        assert not oracle.differences(oracle.as_of(warehouse, rig.only, observed_at), truth)
    assert oracle.broken_invariants(warehouse) == []


def test_quiet_resync_writes_no_data_row(warehouse: Engine) -> None:
    """When nothing changed at the source, no version is opened or closed in any table."""
    rig = _rig(warehouse, 300)
    rig.sync()
    before = {name: rig.rows(f"select * from {name}_history order by 1, 2, 3, 4") for name in oracle.COLUMNS}
    result = rig.sync().accounts[0]
    assert (result.rows_opened, result.rows_closed) == (0, 0)
    assert before == {name: rig.rows(f"select * from {name}_history order by 1, 2, 3, 4") for name in oracle.COLUMNS}


def test_renaming_a_campaign_makes_one_version_of_one_campaign(warehouse: Engine) -> None:
    """A new name of one campaign closes and opens one row of campaigns, and touches no number and no link."""
    rig = _rig(warehouse, 300)
    rig.sync()
    campaign_id = rig.rows("select min(campaign_id) from campaigns")[0][0]
    rig.world.rename_campaign(rig.only, campaign_id, "Осенняя распродажа")
    result = rig.sync().accounts[0]
    assert {n: (c.opened, c.closed) for n, c in result.changes.items() if c.opened or c.closed} == {"campaigns": (1, 1)}
    name = rig.rows("select campaign_name from campaigns where campaign_id = :c", c=campaign_id)
    assert name == [("Осенняя распродажа",)]


def test_moving_a_number_closes_one_link_and_opens_another(warehouse: Engine) -> None:
    """A move between campaigns leaves the number's own version alone and shows in the links' history."""
    rig = _rig(warehouse, 300)
    rig.sync()
    number_id, campaign_id = rig.rows(
        "select virtual_number_id, min(campaign_id) from virtual_number_campaigns"
        " group by 1 having count(*) = 1 order by 1 limit 1"
    )[0]
    target = next(c for c in rig.world.campaign_ids(rig.only) if c != campaign_id)
    rig.world.move(rig.only, number_id, target)
    changes = rig.sync().accounts[0].changes
    assert (changes["virtual_numbers"].opened, changes["virtual_numbers"].closed) == (0, 0)
    assert (changes["virtual_number_campaigns"].opened, changes["virtual_number_campaigns"].closed) == (1, 1)
    _equals_truth(rig)


def test_number_that_comes_back_leaves_the_gap(warehouse: Engine) -> None:
    """A removed number is closed by proof; when it comes back a new version opens, and the gap stays on record."""
    rig = _rig(warehouse, 50)
    rig.sync()
    number_id = rig.world.numbers(rig.only)[0]
    record = next(r for r in rig.world.truth(rig.only) if r["id"] == number_id)
    rig.world.edit(rig.only, number_id, comment="a")
    rig.sync()
    rig.world.remove(rig.only, number_id)
    assert rig.sync().accounts[0].changes["virtual_numbers"].closed == 1
    assert number_id not in {row[0] for row in rig.rows("select virtual_number_id from virtual_numbers")}
    (returned,) = rig.world.add(rig.only, 1)
    rig.world.put_raw(rig.only, returned, _as_json(record))
    rig.sync()
    periods = rig.rows(
        "select valid_from, valid_to from virtual_numbers_history where virtual_number_id = :n order by 1", n=number_id
    )
    assert len(periods) == 3
    assert periods[0].valid_to == periods[1].valid_from
    assert str(periods[1].valid_to) < str(periods[2].valid_from)
    assert periods[2].valid_to is None
    assert oracle.broken_invariants(warehouse) == []


def _as_json(record: dict[str, object]) -> bytes:
    import json

    return json.dumps(record).encode()


def test_older_edition_then_newer_versions_only_real_differences(warehouse: Engine) -> None:
    """A field that an edition does not report is not null: switching editions loses nothing and opens no version."""
    rig = _rig(warehouse, 400)
    rig.sync()
    newer = oracle.current(warehouse, rig.only)
    rig.world.edition = "older"
    older = rig.sync().accounts[0]
    assert (older.rows_opened, older.rows_closed) == (0, 0)
    assert not oracle.differences(oracle.current(warehouse, rig.only), newer)
    assert rig.rows("select path from source_drift where kind = 'missing_field' and path = '$.comment'")
    rig.world.edition = "newer"
    again = rig.sync().accounts[0]
    assert (again.rows_opened, again.rows_closed) == (0, 0)


def test_first_seen_by_the_older_edition(warehouse: Engine) -> None:
    """A warehouse begun with the older edition has nulls and rule 0; the newer edition adds its values."""
    rig = _rig(warehouse, 200, edition="older")
    rig.sync()
    assert rig.rows("select distinct call_processing_rule_id, is_active from virtual_number_scenarios") == [(0, None)]
    _equals_truth(rig)
    rig.world.edition = "newer"
    result = rig.sync().accounts[0]
    _equals_truth(rig)
    assert result.changes["campaigns"].opened == result.changes["virtual_number_campaigns"].opened == 0


@pytest.mark.parametrize(
    ("numbers", "page_limit"), [(2_500, 1_000), pytest.param(25_000, 10_000, marks=pytest.mark.soak)]
)
def test_numbers_changing_after_every_request(warehouse: Engine, numbers: int, page_limit: int) -> None:
    """Numbers move, are added and removed at every request of a listing: none is lost, none closed without removal."""
    rig = _rig(warehouse, numbers)
    rig.sync(page_limit=page_limit)
    ever_removed: set[int] = set()

    def disturb(_request: object) -> None:
        there = rig.world.numbers(rig.only)
        for number_id in rig.random.sample(there, 40):
            rig.world.edit(rig.only, number_id, comment=f"edit {rig.random.random()}")
        for number_id in rig.random.sample(there, 3):
            if number_id in set(rig.world.numbers(rig.only)):
                rig.world.remove(rig.only, number_id)
                ever_removed.add(number_id)
        rig.world.add(rig.only, 3)

    rig.api.after_request.append(disturb)
    steady = set(rig.world.numbers(rig.only))
    for _ in range(2):
        assert rig.sync(page_limit=page_limit).exit_code == 0
        steady &= set(rig.world.numbers(rig.only)) | ever_removed
        listed = {row[0] for row in rig.rows("select virtual_number_id from virtual_numbers")}
        assert steady - ever_removed <= listed
        closed = {row[0] for row in rig.rows(
            "select distinct virtual_number_id from virtual_numbers_closed c where not exists"
            " (select 1 from virtual_numbers n where n.virtual_number_id = c.virtual_number_id)"
        )}  # fmt: skip
        assert closed <= ever_removed
    rig.api.after_request.clear()
    rig.sync()
    _equals_truth(rig)
    assert oracle.broken_invariants(warehouse) == []
