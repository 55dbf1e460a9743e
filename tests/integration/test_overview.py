"""What the report reads, on both databases: against the story's literal days, the `changes` view, and itself then."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from etl.errors import Usage
from etl.read.activity import DAYS as TOLD_DAYS
from etl.read.overview import Holding, Overview, read_overview
from etl.sandbox.world import CustomerPlan, World
from tests.support.rig import Rig
from tests.support.story import DAYS, number, tell

AFTER = datetime(2026, 1, 10, 12, tzinfo=UTC)


def _lived(warehouse: Engine, days: int = 5) -> Rig:
    """Two customers of an agent, synced on some days on which much happens."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=60), CustomerPlan(numbers=20)], role="agent"), warehouse)
    for day in range(days):
        if day:
            rig.world.pass_day(share=0.3)
        assert rig.sync().exit_code == 0
    return rig


def test_a_story_is_counted_by_day_and_kind(warehouse: Engine) -> None:
    """Each day's changes as the story tells them; the first observation counts as none."""
    tell(warehouse, DAYS)
    seen = read_overview(warehouse, AFTER)
    told = {day.day.isoformat(): dict(day.counts) for day in seen.activity.days}
    block, link = "site block of a number", "campaign of a number"
    assert told == {
        "2026-01-06": {},
        "2026-01-07": {("campaign", "changed"): 1},
        "2026-01-08": {
            ("number", "changed"): 1,
            ("campaign", "added"): 1,
            ("campaign", "removed"): 1,
            (link, "added"): 1,
            (link, "removed"): 1,
            (block, "added"): 1,
            (block, "removed"): 1,
        },
        "2026-01-09": {("number", "removed"): 1, ("site", "changed"): 1},
        "2026-01-10": {("number", "added"): 1},
    }
    assert seen.activity.per_account == {7: (0, 1, 7, 2, 1)}
    assert seen.holdings == {7: Holding(numbers=2, unplaced=1, campaigns=1)}
    assert seen.statuses == (("active", 2),)
    (campaign,) = seen.campaigns
    assert (campaign.campaign_name, campaign.site_domain_name, campaign.numbers) == ("Winter", "b.example", 1)
    assert [story.succeeded for story in seen.runs] == [1] * 5
    assert seen.runs[0].run == seen.status.last_run


def test_the_counts_are_those_of_the_changes_view(warehouse: Engine) -> None:
    """Days of all kinds of changes in two accounts: the same sums as the view that analysts read."""
    rig = _lived(warehouse)
    viewed: Counter[tuple[str, str]] = Counter()
    with warehouse.connect() as connection:
        rows = connection.execute(
            text(
                "select entity, change, count(*) from changes c where previous_observed_at is not null"
                " group by entity, change"
            )
        )
        viewed.update({(entity, change): count for entity, change, count in rows})
    counted: Counter[tuple[str, str]] = Counter()
    activity = read_overview(warehouse, rig.clock.now()).activity
    for day in activity.days:
        counted.update(day.counts)
    assert counted == viewed
    assert len(counted) > 8
    assert sum(map(sum, activity.per_account.values())) == sum(counted.values())


def test_as_of_is_what_the_report_would_have_said(warehouse: Engine) -> None:
    """After each day: a later report as of then is the report of then."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=60), CustomerPlan(numbers=20)], role="agent"), warehouse)
    then: list[tuple[datetime, Overview]] = []
    for _ in range(4):
        rig.sync()
        then.append((rig.clock.now(), read_overview(warehouse, rig.clock.now())))
        rig.world.pass_day(share=0.3)
    for moment, seen in then:
        assert read_overview(warehouse, rig.clock.now(), moment=moment) == seen


def test_a_moment_before_the_first_observation_is_refused(warehouse: Engine) -> None:
    """Nobody knows what was so then."""
    rig = _lived(warehouse, days=1)
    with pytest.raises(Usage, match="before the first observation"):
        read_overview(warehouse, rig.clock.now(), moment=datetime(2020, 1, 1, tzinfo=UTC))


def test_an_empty_warehouse_has_an_overview(warehouse: Engine) -> None:
    """Nothing was synced: nothing is told, and nothing fails."""
    seen = read_overview(warehouse, AFTER)
    assert (seen.runs, seen.campaigns, seen.activity.days, seen.holdings) == ((), (), (), {})
    assert set(seen.sizes.values()) == {0}


def test_a_failed_first_run_is_told(warehouse: Engine) -> None:
    """An account that was tried and never published is told of, with its reason, and holds nothing."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=6), CustomerPlan(numbers=6)], role="agent"), warehouse)
    blocked, well = rig.world.customer_ids
    rig.world.block(blocked, "forbidden")
    assert rig.sync().exit_code == 3
    seen = read_overview(warehouse, rig.clock.now())
    assert [a.status for a in seen.status.accounts] == ["failed", "succeeded"]
    assert seen.holdings.keys() == {well}
    assert (seen.runs[0].succeeded, seen.runs[0].failed) == (1, 1)


def test_what_was_rejected_and_what_is_unforeseen(warehouse: Engine) -> None:
    """Quarantined records by reason, of the last observation only; departures with the moment they were first met."""
    tell(warehouse, {"2026-01-06": [{**number(1, "+7495001"), "weight": 3, "status": "asleep"}]})
    rig = _lived(warehouse, days=1)
    account = rig.world.customer_ids[0]
    for each in rig.world.numbers(account)[:2]:
        rig.world.edit(account, each, campaigns="none")
    rig.sync()
    seen = read_overview(warehouse, rig.clock.now())
    (rejected,) = seen.rejected
    assert (rejected.records, rejected.accounts) == (2, 1)
    told = {(d.path, d.kind, d.value): d.first_seen.date() for d in seen.drift}
    assert told["$.status", "unknown_value", "asleep"] == date(2026, 1, 6)
    assert seen.drift_kinds_known == len(told)


def test_only_the_last_observed_days_are_told(warehouse: Engine) -> None:
    """More days than are told: the last ones, and a day on which nothing was observed is none of them."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=3)], role="customer"), warehouse)
    for day in range(TOLD_DAYS + 3):
        rig.sync()
        rig.clock.pass_time(86_400 * (day % 2))
    days = [day.day for day in read_overview(warehouse, rig.clock.now()).activity.days]
    assert len(days) == TOLD_DAYS
    assert days == sorted(set(days))
    assert days[-1] - days[0] > timedelta(days=TOLD_DAYS)
