"""Data of one account's report, on both databases: its part of the whole report, now and as of earlier moments."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from etl.errors import Usage
from etl.read.account_overview import LATEST, AccountOverview, read_account
from etl.read.changes import TimeRange, read_changes
from etl.read.overview import read_overview
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import begin_reading
from tests.support.rig import Rig
from tests.support.story import DAYS, tell


def test_an_accounts_overview_is_its_part_of_the_whole(warehouse: Engine) -> None:
    """Days of all kinds of changes in two accounts: the figures equal those of the whole, for this account."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=60), CustomerPlan(numbers=20)], role="agent"), warehouse)
    account, other = rig.world.customer_ids
    then: list[tuple[datetime, AccountOverview]] = []
    for day in range(4):
        if day:
            rig.world.pass_day(share=0.3)
        if day == 3:
            rig.world.block(account, "forbidden")
        rig.sync()
        then.append((rig.clock.now(), read_account(warehouse, rig.clock.now(), account)))
    now, seen = then[-1]
    whole = read_overview(warehouse, now)
    assert seen.holdings == {account: whole.holdings[account]}
    assert seen.status.accounts == tuple(a for a in whole.status.accounts if a.account_id == account)
    assert sum(count for _, count in seen.statuses) == seen.sizes["virtual_numbers"] == whole.holdings[account].numbers
    assert seen.campaigns[0].account_id == account
    counts = tuple(sum(day.counts.values()) for day in seen.activity.days)
    assert counts == whole.activity.per_account[account][:3] == seen.year.per_account[account]
    assert {move.account_id for move in seen.moved.changes} == {account}
    assert seen.unpublished_days == (now.date(),)
    assert [sync.status for sync in seen.syncs] == ["failed", *["succeeded"] * 3]
    with begin_reading(warehouse) as connection:
        window = TimeRange(start=seen.first_observed_at, accounts={account})
        told = list(read_changes(connection, window))
    newest = sorted(told[-LATEST:], key=lambda change: change.observed_at, reverse=True)
    assert (list(seen.latest), seen.more_changes) == (newest, len(told) > LATEST)
    assert len(newest) > 20
    for moment, earlier in then:
        assert read_account(warehouse, now, account, moment=moment) == earlier
    assert read_account(warehouse, now, other).unpublished_days == ()


def test_what_the_first_observation_found_is_no_change(warehouse: Engine) -> None:
    """The changes from the second day on are listed; as of the first observation there is none."""
    tell(warehouse, DAYS)
    now = datetime(2026, 1, 10, 12, tzinfo=UTC)
    seen = read_account(warehouse, now, 7)
    assert [change.observed_at.day for change in seen.latest] == [10, 9, 9, 8, 8, 8, 8, 7]
    assert not seen.more_changes
    assert seen.timezone == "Europe/Moscow"
    first = read_account(warehouse, now, 7, moment=seen.first_observed_at)
    assert (first.latest, first.more_changes, len(first.year.days)) == ((), False, 1)


def test_an_account_without_an_answer_is_refused(warehouse: Engine) -> None:
    """Errors: an account that was never published, and a moment or a clock before the first observation."""
    tell(warehouse, {day: DAYS[day] for day in list(DAYS)[:1]})
    now = datetime(2026, 1, 10, 12, tzinfo=UTC)
    with pytest.raises(Usage, match="account 8 was never published"):
        read_account(warehouse, now, 8)
    early = datetime(2026, 1, 5, tzinfo=UTC)
    with pytest.raises(Usage, match="--as-of 2026-01-05T00:00:00Z lies before the first observation"):
        read_account(warehouse, now, 7, moment=early)
    with pytest.raises(Usage, match="the time 2026-01-05T00:00:00Z lies before the first observation"):
        read_account(warehouse, early, 7)
