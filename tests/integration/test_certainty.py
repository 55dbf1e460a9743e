"""The view `number_campaign_certainty` and its recipe: how certain a call's campaign is, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from benchmarks.beats import Plan, Truth, live
from benchmarks.certainty import PAGE, judge
from etl.sandbox.world import CustomerPlan, World
from etl.store import certainty_view
from tests.support.rig import Rig
from tests.support.story import ONE, TWO, campaign, number, tell

COLUMNS = "virtual_number_id, called_from, called_before, certainty, campaign_id, campaign_id_before, campaign_id_after"
A, B, C, D = (campaign(10 + n, name, "a.example") for n, name in enumerate("ABCD"))


def _rows(engine: Engine, columns: str = COLUMNS, where: str = "1 = 1") -> list[tuple[Any, ...]]:
    """The view's rows, by number and start, with moments as days."""
    statement = f"select {columns} from number_campaign_certainty where {where}"
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(statement))]
    plain = [(row[0], *(None if m is None else f"{m}"[5:10] for m in row[1:3]), *row[3:]) for row in found]
    return sorted(plain, key=lambda row: (row[0], row[1] or "", row[2] or "99", str(row)))


def test_a_number_s_life_without_gap_or_overlap(told: Engine) -> None:
    """Before the first observation, certain between two that agree, changed between two that differ, then later."""
    columns = "virtual_number_id, called_from, called_before, certainty, campaign_name, campaign_name_before,"
    assert _rows(told, f"{columns} campaign_name_after") == [
        (1, None, "01-06", "before", None, None, "Spring"),
        (1, "01-06", "01-07", "certain", "Spring", "Spring", "Spring"),
        (1, "01-07", "01-08", "changed", None, "Summer", "Winter"),
        (1, "01-08", "01-10", "certain", "Winter", "Winter", "Winter"),
        (1, "01-10", None, "later", None, "Winter", None),
        (2, None, "01-06", "before", None, None, None),
        (2, "01-06", "01-08", "certain", None, None, None),
        (2, "01-08", "01-09", "certain", None, None, None),
        (2, "01-10", None, "later", None, None, None),
    ]


def test_of_several_campaigns_each_is_named_once(warehouse: Engine) -> None:
    """A campaign that stays is certain; one that left is paired with one that joined; others have their own rows."""
    days = [[A, B], [A, B], [A, C, D], [A, C, D], [C], [C]]
    tell(warehouse, {f"2026-01-{6 + n:02}": [number(**ONE, campaigns=here)] for n, here in enumerate(days)})
    assert [row[1:] for row in _rows(warehouse, where="called_from is not null and called_before is not null")] == [
        ("01-06", "01-07", "certain", 11, 11, 11),
        ("01-06", "01-09", "certain", 10, 10, 10),
        ("01-07", "01-08", "changed", None, 11, 12),
        ("01-07", "01-08", "changed", None, None, 13),
        ("01-08", "01-09", "certain", 13, 13, 13),
        ("01-08", "01-11", "certain", 12, 12, 12),
        ("01-09", "01-10", "changed", None, 10, None),
        ("01-09", "01-10", "changed", None, 13, None),
    ]


def test_numbers_that_come_and_go(warehouse: Engine) -> None:
    """An added number has no campaign before, a removed one has none after; while it is not listed, it has no row."""
    with_a = [number(**ONE, campaigns=[A])]
    both = [*with_a, number(**TWO, campaigns=[B])]
    days = [with_a, with_a, both, both, with_a, with_a]
    tell(warehouse, {f"2026-01-{6 + n:02}": numbers for n, numbers in enumerate(days)})
    assert [row[1:] for row in _rows(warehouse, where="virtual_number_id = 2")] == [
        ("01-07", "01-08", "changed", None, None, 11),
        ("01-08", "01-09", "certain", 11, 11, 11),
        ("01-09", "01-10", "changed", None, 11, None),
    ]


def test_a_number_that_gets_another_phone_number(warehouse: Engine) -> None:
    """For the old and the new phone number, calls between the two observations are not certain."""
    phones = ["+1", "+1", "+2", "+2"]
    tell(warehouse, {f"2026-01-{6 + n:02}": [number(1, phone, campaigns=[A])] for n, phone in enumerate(phones)})
    rows = _rows(warehouse, f"virtual_number_id, {COLUMNS.partition(', ')[2]}, virtual_phone_number", "1 = 1")
    assert [(row[7], *row[1:4], *row[5:7]) for row in rows if row[1] and row[2]] == [
        ("+1", "01-06", "01-07", "certain", 10, 10),
        ("+1", "01-07", "01-08", "changed", 10, None),
        ("+2", "01-07", "01-08", "changed", None, 10),
        ("+2", "01-08", "01-09", "certain", 10, 10),
    ]


def test_a_record_in_quarantine_was_not_seen(warehouse: Engine) -> None:
    """The number stays open, but its campaign is certain only when its record can be read again."""
    rig = Rig(World(seed=3, customers=[CustomerPlan(numbers=60)], role="customer"), warehouse)
    one, other = sorted(rig.world.numbers(rig.only))[:2]
    rig.sync()
    rig.world.put_raw(rig.only, one, b'{"id": %d}' % one)
    certain = "select distinct virtual_number_id from number_campaign_certainty where certainty = 'certain'"
    certain += f" and virtual_number_id in ({one}, {other}) order by 1"
    assert rig.sync().exit_code == 3
    assert rig.rows("select virtual_number_id from quarantine") == [(one,)]
    assert rig.rows(certain) == [(other,)]
    rig.world.clear_raw(rig.only)
    rig.sync()
    assert rig.rows(certain) == [(one,), (other,)]


def test_a_sync_with_suspects_has_not_seen_every_number(warehouse: Engine) -> None:
    """A user who sees fewer numbers leaves some open without proof: they may have moved, so calls are uncertain."""
    rig = Rig(World(seed=3, customers=[CustomerPlan(numbers=60, users=2)]), warehouse)
    customer = rig.only
    first, second = rig.world.user_ids(customer)
    rig.sync(users={customer: first})
    rig.world.hide(second, rig.world.numbers(customer)[:5])
    rig.sync(users={customer: second})
    assert rig.rows("select suspects from account_syncs order by run_id") == [(0,), (5,)]
    assert rig.rows("select count(*) from number_campaign_certainty where certainty = 'certain'") == [(0,)]
    rig.sync(users={customer: first})
    assert rig.rows("select count(*) from number_campaign_certainty where certainty = 'certain'")[0][0] >= 60


# -- comparison with the truth


_truths: dict[str, Truth] = {}
"""What was true in the account of `_hourly`, by the database that it was synced into."""


def _hourly(engine: Engine) -> None:
    plan = Plan(numbers=60, days=1.5, beat=3_600, share=5.0, latency=60.0, page_limit=10)
    _truths[engine.name] = live(engine, plan)


@pytest.fixture
def lived(warehouse_after: Callable[[Callable[[Engine], None]], Engine]) -> tuple[Engine, Truth]:
    """A warehouse with a listing every hour that takes minutes, while its numbers change."""
    engine = warehouse_after(_hourly)
    return engine, _truths[engine.name]


def test_a_call_that_is_certain_is_never_wrong(lived: tuple[Engine, Truth]) -> None:
    """Exceptions are numbers removed and restored between two observations. If changed, the truth is among the
    candidates.

    At 1 000 000 calls: `python -m benchmarks.certainty`.
    """
    engine, truth = lived
    verdict = judge(engine, truth, 20_000, near_syncs=True)
    assert verdict.wrong == []
    assert verdict.certainty.total() == 20_000
    assert all(verdict.certainty[word] > 300 for word in ("certain", "changed", "later", "before"))
    assert 0 < verdict.round_trips < verdict.certainty["certain"] / 50
    assert verdict.twice < verdict.certainty["changed"] / 10


def test_the_judge_finds_what_is_not_certain(lived: tuple[Engine, Truth], tmp_path: Path) -> None:
    """Two mutants are found wrong: trusting the observation before a call, and trusting a listing from its end."""
    engine, truth = lived
    recipe = PAGE.read_text(encoding="utf-8")
    daring = recipe.replace("certainty, campaign_id,", "'certain' as certainty, campaign_id_before as campaign_id,", 1)
    late = certainty_view.query(engine.name).replace("select p.started_at", "select p.observed_at")
    mutants = {"daring": daring, "late": recipe.replace("from number_campaign_certainty", f"from ({late}) m")}
    for name, mutant in mutants.items():
        page = tmp_path / f"{name}.md"
        page.write_text(mutant, encoding="utf-8")
        assert mutant != recipe
        assert judge(engine, truth, 20_000, near_syncs=True, page=page).wrong, name
