"""Changes between two moments, streamed from the warehouse, on both databases."""

from __future__ import annotations

import gc
import json
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.domain.tables import BY_NAME
from etl.read.change_kinds import Kind
from etl.read.changes import Change, TimeRange, count_changes, read_changes
from etl.report.changes import sentence
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import begin_reading
from tests.support.rig import Rig
from tests.support.story import ONE, TWO, campaign, number, scenario, tell


def _changes(engine: Engine, window: TimeRange | None = None) -> list[Change]:
    with begin_reading(engine) as connection:
        return list(read_changes(connection, window or TimeRange()))


def _day(day: int) -> datetime:
    return datetime(2026, 1, day, 23, tzinfo=UTC)


def test_the_story_in_sentences(told: Engine) -> None:
    """Each day's changes in the users' words, with the names of that time."""
    later = [c for c in _changes(told) if c.observed_at.day > 6]
    assert [(c.observed_at.day, sentence(c.change_event)) for c in later] == [
        (7, 'campaign 10: renamed from "Spring" to "Summer"'),
        (8, '+7495001 (1): moved from campaign "Summer" (10) to "Winter" (11)'),
        (8, '+7495002 (2): comment none -> "spare"'),
        (8, 'campaign "Summer" (10): no longer used by any number'),
        (8, 'campaign "Winter" (11): came into use'),
        (9, '+7495002 (2): removed; it was active, usual, va, comment "spare"'),
        (9, 'site 5: renamed from "a.example" to "b.example"'),
        (10, '+7495002 (2): came back: active, usual, va, comment "spare"'),
    ]
    assert {(c.previous_observed_at.day, c.observed_at.day) for c in later if c.previous_observed_at} == {
        (day - 1, day) for day in range(7, 11)
    }


def test_the_first_observation_is_seen_not_added(told: Engine) -> None:
    """Numbers of the first observation are first seen, not added, because there is no earlier observation."""
    first = [c for c in _changes(told) if c.observed_at.day == 6]
    assert {c.change_event.kind for c in first} == {Kind.NUMBER_FIRST_SEEN, Kind.FIRST_SEEN}
    assert {c.previous_observed_at for c in first} == {None}


def test_a_window_is_what_lies_between_two_states(told: Engine) -> None:
    """A range excludes its start and includes its end; adjacent ranges neither overlap nor omit anything."""
    whole = _changes(told)
    days = [_day(5), _day(6), _day(8), _day(10)]
    parts = [c for start, end in pairwise(days) for c in _changes(told, TimeRange(start=start, end=end))]
    assert [sentence(c.change_event) for c in parts] == [sentence(c.change_event) for c in whole]
    at = whole[-1].observed_at
    assert [c.observed_at for c in _changes(told, TimeRange(start=at))] == []
    assert {c.observed_at for c in _changes(told, TimeRange(start=_day(9), end=at))} == {at}
    assert _changes(told, TimeRange(accounts=frozenset({8}))) == []


def test_rules_blocks_and_editions(warehouse: Engine) -> None:
    """Rules switched, tracking switched, several fields at once, an emptied name: each has its own sentence."""
    here = [campaign(10, "A", "a.example", tracked=True)]
    there = [campaign(10, "A", "a.example", tracked=False), campaign(11, "B", "a.example")]
    first = [
        number(**ONE, campaigns=here, scenarios=[scenario(40, "S")], name="x"),
        number(**TWO, campaigns=here, redirection_phone_number="1"),
    ]
    second = [
        number(**ONE, campaigns=there, scenarios=[scenario(40, "S", is_active=False)], name=""),
        number(**TWO, status="limit_lock", redirection_phone_number="2"),
    ]
    tell(warehouse, {"2026-01-06": first, "2026-01-07": second})
    told = [sentence(c.change_event) for c in _changes(warehouse, TimeRange(start=_day(6)))]
    assert told == [
        '+7495001 (1): name "x" -> ""',
        '+7495001 (1): added to campaign "B" (11)',
        '+7495001 (1): tracking switched off in site block "header" (30) of campaign "A" (10)',
        '+7495001 (1): rule switched off: scenario "S" (40) by rule 1',
        "+7495002 (2): redirected to 1 -> 2",
        "+7495002 (2): locked, status active -> limit_lock",
        '+7495002 (2): removed from campaign "A" (10)',
        'campaign "B" (11): came into use',
    ]


def _facts_of_the_view(engine: Engine) -> Counter[tuple[Any, ...]]:
    columns = "account_id, observed_at, previous_observed_at, run_id, entity, key, change"
    with engine.connect() as connection:
        rows = connection.execute(text(f"select {columns} from changes")).all()
    return Counter(
        (row[0], _stamp(row[1]), _stamp(row[2]), row[3], row[4], json.dumps(_plain(row[5]), sort_keys=True), row[6])
        for row in rows
    )


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _stamp(value: Any) -> str | None:
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat()


def _facts_of(changes: list[Change]) -> Counter[tuple[Any, ...]]:
    return Counter(
        (
            change.account_id,
            _stamp(change.observed_at),
            _stamp(change.previous_observed_at),
            change.run_id,
            BY_NAME[pair.table].entity,
            json.dumps(dict(zip(BY_NAME[pair.table].key_names, pair.key, strict=True)), sort_keys=True),
            pair.change,
        )
        for change in changes
        for pair in change.change_event.pairs
    )


def test_the_view_carries_the_same_facts(warehouse: Engine) -> None:
    """Over days of two accounts, each row of the view `changes` belongs to exactly one change event."""
    plans = [CustomerPlan(numbers=120, timezone="Asia/Tokyo"), CustomerPlan(numbers=60)]
    rig = Rig(World(seed=3, customers=plans, role="agent", id_step=5), warehouse)
    for _ in range(6):
        assert rig.sync().exit_code == 0
        rig.world.pass_day(share=0.15)
    told = _changes(warehouse)
    assert _facts_of(told) == _facts_of_the_view(warehouse)
    assert len({c.change_event.kind for c in told}) > 12
    with begin_reading(warehouse) as connection:
        counts = count_changes(connection, TimeRange())
    assert sum(sum(found.values()) for found in counts.values()) == len(told)
    order = [(c.account_id, c.observed_at) for c in told]
    assert order == sorted(order)


def test_a_reader_that_is_broken_off_ends_in_silence(warehouse: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """A signal closes the connection while changes are still being read: nothing else is logged or raised."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=50)], role="customer"), warehouse)
    assert rig.sync().exit_code == 0
    with begin_reading(warehouse) as connection:
        changes = read_changes(connection, TimeRange())
        next(changes)
    del changes
    gc.collect()
    assert caplog.records == []
