"""Data of the report, on both databases: compared with the story's days, the view `changes`, and earlier reports."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from etl.errors import AccountRefused, Usage
from etl.read.activity import DAYS as TOLD_DAYS
from etl.read.activity import YEAR
from etl.read.change_kinds import Kind
from etl.read.changes import TimeRange, read_changes
from etl.read.holdings import Holding
from etl.read.moved import MOST
from etl.read.overview import Overview, read_overview
from etl.report.changes import sentence
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import begin_reading
from tests.support.rig import Rig
from tests.support.story import DAYS, number, tell, tell_agency

AFTER = datetime(2026, 1, 10, 12, tzinfo=UTC)


def _lived(warehouse: Engine, days: int = 5) -> Rig:
    """Two customers of an agent, synced on some days with many changes."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=60), CustomerPlan(numbers=20)], role="agent"), warehouse)
    for day in range(days):
        if day:
            rig.world.pass_day(share=0.3)
        assert rig.sync().exit_code == 0
    return rig


def test_a_story_is_counted_by_day_and_kind(warehouse: Engine) -> None:
    """Each day's changes of the story are counted; the first observation counts none."""
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
    """Days of all kinds of changes in two accounts: the sums equal those of the view that analysts read."""
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
    """After each day: a later report as of that moment equals the report made then."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=60), CustomerPlan(numbers=20)], role="agent"), warehouse)
    then: list[tuple[datetime, Overview]] = []
    for _ in range(4):
        rig.sync()
        then.append((rig.clock.now(), read_overview(warehouse, rig.clock.now())))
        rig.world.pass_day(share=0.3)
    for moment, seen in then:
        assert read_overview(warehouse, rig.clock.now(), moment=moment) == seen


def test_a_moment_before_the_first_observation_is_refused(warehouse: Engine) -> None:
    """A moment before the first observation is refused, because the state then is unknown."""
    rig = _lived(warehouse, days=1)
    with pytest.raises(Usage, match="before the first observation"):
        read_overview(warehouse, rig.clock.now(), moment=datetime(2020, 1, 1, tzinfo=UTC))


def test_an_empty_warehouse_has_an_overview(warehouse: Engine) -> None:
    """Without a sync the overview is empty, and nothing fails."""
    seen = read_overview(warehouse, AFTER)
    assert (seen.runs, seen.campaigns, seen.activity.days, seen.holdings) == ((), (), (), {})
    assert set(seen.sizes.values()) == {0}


def test_a_failed_first_run_is_told(warehouse: Engine) -> None:
    """An account that was tried and never published is listed as failed, without holdings."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=6), CustomerPlan(numbers=6)], role="agent"), warehouse)
    blocked, well = rig.world.customer_ids
    rig.world.block(blocked, "forbidden")
    assert rig.sync().exit_code == 3
    seen = read_overview(warehouse, rig.clock.now())
    assert [a.status for a in seen.status.accounts] == ["failed", "succeeded"]
    assert seen.holdings.keys() == {well}
    assert (seen.runs[0].succeeded, seen.runs[0].failed) == (1, 1)


def test_what_was_rejected_and_what_is_unforeseen(warehouse: Engine) -> None:
    """Quarantined records by reason, of the last observation only; drift with the time of its first occurrence."""
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


def test_recent_days_and_the_year(warehouse: Engine) -> None:
    """Thirty observed days are recent; the calendar has all others of the year, and days that failed."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=3)], role="customer"), warehouse)
    for day in range(TOLD_DAYS + 3):
        rig.sync()
        rig.clock.pass_time(86_400 * (day % 2))
    seen = read_overview(warehouse, rig.clock.now())
    days = [day.day for day in seen.activity.days]
    assert len(days) == TOLD_DAYS
    assert days == sorted(set(days))
    assert days[-1] - days[0] > timedelta(days=TOLD_DAYS)
    year = [day.day for day in seen.year.days]
    assert (len(year), year[-TOLD_DAYS:], seen.unpublished_days) == (TOLD_DAYS + 3, days, ())
    rig.world.block(rig.world.customer_ids[0], "forbidden")
    with pytest.raises(AccountRefused):
        rig.sync()
    assert read_overview(warehouse, rig.clock.now()).unpublished_days == (rig.clock.now().date(),)
    later = read_overview(warehouse, rig.clock.now() + timedelta(days=YEAR - 1))
    assert ([day.day for day in later.year.days], later.activity.days) == (days, seen.activity.days)
    assert later.unpublished_days == (rig.clock.now().date(),)


def test_numbers_that_moved_to_another_campaign(warehouse: Engine) -> None:
    """The story's one move, with both campaigns; a rename, a removal and a number that came back are not moves."""
    tell(warehouse, DAYS)
    moved = read_overview(warehouse, AFTER).moved
    (change,) = moved.changes
    told = (change.account_id, change.observed_at.day, sentence(change.change_event))
    assert told == (7, 8, '+7495001 (1): moved from campaign "Summer" (10) to "Winter" (11)')
    assert change.previous_observed_at
    assert change.previous_observed_at.day == 7
    assert not moved.more
    assert read_overview(warehouse, AFTER, moment=datetime(2026, 1, 7, 12, tzinfo=UTC)).moved.changes == ()


def test_a_number_that_moved_to_another_account_is_there_once(warehouse: Engine) -> None:
    """The move is listed for the account that the number left; of more moves than are shown, the newest."""
    here, there = [number(i, f"749500{i:02}") for i in range(1, MOST + 8)], [number(90, "74950090")]
    worlds = ({51: here, 52: there}, {51: here[1:], 52: [*there, here[0]]}, {51: here[-1:], 52: [*there, *here[:-1]]})
    tell_agency(warehouse, {f"2026-01-{day:02}": world for day, world in enumerate(worlds, 6)}, max_close_share=1.0)
    then = read_overview(warehouse, AFTER, moment=datetime(2026, 1, 7, 12, tzinfo=UTC)).moved
    (change,) = then.changes
    assert sentence(change.change_event) == '74950001 (1): moved to account 52 "Beta"; it was active, usual, va'
    now = read_overview(warehouse, AFTER).moved
    assert now.more
    assert {c.observed_at.day for c in now.changes} == {8}


def test_the_moves_are_those_of_the_changes(warehouse: Engine) -> None:
    """Days of all kinds of changes in two accounts: the same moves as in `changes`, newest first."""
    rig = _lived(warehouse, days=3)
    with begin_reading(warehouse) as connection:
        told = [c for c in read_changes(connection, TimeRange()) if c.change_event.kind is Kind.MOVED]
    moved = read_overview(warehouse, rig.clock.now()).moved.changes
    newest = sorted(told, key=lambda c: c.observed_at, reverse=True)[:MOST]
    assert [c.observed_at for c in moved] == [c.observed_at for c in newest]
    assert all(change in told for change in moved)
    assert len(moved) > 5
