"""Views for users, on both databases, over a story of five days of literal records."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.domain.tables import TABLES
from etl.read.change_kinds import Kind
from etl.sandbox.world import CustomerPlan, World
from etl.store.changes_view import KINDS, SHARED_KINDS
from tests.support import pages
from tests.support.checkout import ROOT
from tests.support.rig import Rig
from tests.support.story import ONE, campaign, number, scenario, tell


def _rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def _day(moment: object) -> str | None:
    return None if moment is None else str(moment)[:10]


def test_number_assignments_say_who_is_where_now(told: Engine) -> None:
    """One row for each number, campaign and block, with all names; a number without a campaign has a row, too."""
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


def test_number_campaign_periods_tell_between_which_observations_they_began_and_ended(told: Engine) -> None:
    """The account's name, and the last observations before both ends: none before the first, none while open."""
    rows = _rows(
        told,
        "select account_name, valid_from, starts_after, valid_to, ends_after from number_campaign_periods"
        " order by valid_from",
    )
    assert [(row[0], *(_day(moment) for moment in row[1:])) for row in rows] == [
        ("Seven", "2026-01-06", None, "2026-01-07", "2026-01-06"),
        ("Seven", "2026-01-07", "2026-01-06", "2026-01-08", "2026-01-07"),
        ("Seven", "2026-01-08", "2026-01-07", "2026-01-09", "2026-01-08"),
        ("Seven", "2026-01-09", "2026-01-08", None, None),
    ]


def test_ends_of_periods_lie_after_published_observations_only(warehouse: Engine) -> None:
    """A held or failed sync observed nothing: the change may have happened before it."""
    rig = Rig(World(seed=3, customers=[CustomerPlan(numbers=60)], role="customer"), warehouse)
    rig.sync()
    first = rig.clock.now()
    for number_id in rig.world.numbers(rig.only)[1:]:
        rig.world.remove(rig.only, number_id)
    assert rig.sync().exit_code == 3
    assert rig.rows("select status from account_syncs order by run_id")[1] == ("held",)
    rig.sync(approve_close={rig.only})
    ends = rig.rows("select distinct starts_after, ends_after from number_campaign_periods where valid_to is not null")
    assert [(start, _instant(end)) for start, end in ends] == [(None, first)]


def _instant(stored: Any) -> datetime:
    return stored if isinstance(stored, datetime) else datetime.fromisoformat(f"{stored}+00:00")


def test_history_can_be_followed_by_one_column(told: Engine) -> None:
    """Rows with a later `changed_at` are all new facts: the begin of an open version, the end of a closed one."""
    for table in TABLES:
        name = f"{table.name}_history"
        rows = _rows(told, f"select valid_from, valid_to, changed_at from {name}")
        assert rows
        assert all(changed_at == (valid_to or valid_from) for valid_from, valid_to, changed_at in rows)
    since = "'2026-01-08 12:00:00'"
    rows = _rows(
        told,
        "select virtual_number_id, comment, valid_from, valid_to from virtual_numbers_history"
        f" where changed_at > {since} order by changed_at",
    )
    assert [(*row[:2], _day(row[2]), _day(row[3])) for row in rows] == [
        (2, "spare", "2026-01-08", "2026-01-09"),
        (2, "spare", "2026-01-10", None),
    ]


CALLS = {
    "2026-01-06 05:59:59": [],
    "2026-01-06 06:00:00": ["Spring"],
    "2026-01-07 05:59:59": ["Spring"],
    "2026-01-07 06:00:00": ["Summer"],
    "2026-01-12 00:00:00": ["Winter"],
}


def test_the_attribution_join_finds_one_campaign_for_a_call(told: Engine) -> None:
    """By the contract's condition each moment has at most one campaign; the upper edge belongs to the next one."""
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
    """Each day's additions, changes and removals, with the previous observation."""
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
    """The key by its columns' names, and the values before and after; a removed row has no after."""
    rows = {(row[0], row[2]): row[3:] for row in _changes(told) if row[2] in ("campaign", "site") and row[4] != "added"}
    spring, summer = ({"campaign_name": name, "site_id": 5, "extra": None} for name in ("Spring", "Summer"))
    assert rows == {
        ("2026-01-07", "campaign"): ({"campaign_id": 10}, "changed", spring, summer),
        ("2026-01-08", "campaign"): ({"campaign_id": 10}, "removed", summer, None),
        ("2026-01-09", "site"): (
            {"site_id": 5}, "changed", {"site_domain_name": "a.example"}, {"site_domain_name": "b.example"},
        ),
    }  # fmt: skip


def test_changes_name_the_number_and_the_kind(told: Engine) -> None:
    """A row of a number or of its links has the number's phone number then; a row of a shared entity has none."""
    columns = "observed_at, entity, virtual_number_id, virtual_phone_number, kind, changed_columns"
    rows = _rows(told, f"select {columns} from changes where observed_at > '2026-01-06 12:00:00'")
    assert sorted((_day(row[0]), *row[1:]) for row in rows) == [
        ("2026-01-07", "campaign", None, None, "changed", "campaign_name"),
        ("2026-01-08", "campaign", None, None, "appeared", None),
        ("2026-01-08", "campaign", None, None, "disappeared", None),
        ("2026-01-08", "campaign of a number", 1, "+7495001", "moved", None),
        ("2026-01-08", "campaign of a number", 1, "+7495001", "moved", None),
        ("2026-01-08", "number", 2, "+7495002", "number_changed", "comment"),
        ("2026-01-08", "site block of a number", 1, "+7495001", "block_joined", None),
        ("2026-01-08", "site block of a number", 1, "+7495001", "block_left", None),
        ("2026-01-09", "number", 2, "+7495002", "number_removed", None),
        ("2026-01-09", "site", None, None, "changed", "site_domain_name"),
        ("2026-01-10", "number", 2, "+7495002", "number_came_back", None),
    ]
    first = _rows(told, "select distinct entity, kind from changes where observed_at < '2026-01-06 12:00:00'")
    assert {kind for entity, kind in first if entity == "number"} == {"number_first_seen"}
    assert {kind for entity, kind in first if entity == "site"} == {"first_seen"}


def test_changes_name_every_changed_column_and_the_phone_of_the_time(warehouse: Engine) -> None:
    """Columns in the table's order; a value instead of null is a change; an ended link has the earlier phone number."""
    here, there = campaign(10, "A", "a.example"), campaign(11, "B", "a.example")
    first = number(**ONE, comment=None, campaigns=[here, there], scenarios=[scenario(40, "S")], new="x")
    second = number(
        1, "+7495009", status="waiting", comment="c", campaigns=[here], scenarios=[scenario(40, "S", is_active=False)]
    )
    tell(warehouse, {"2026-01-06": [first], "2026-01-07": [second]})
    rows = _rows(
        warehouse,
        "select kind, virtual_phone_number, changed_columns from changes where observed_at > '2026-01-06 12:00:00'",
    )
    assert sorted(rows, key=str) == [
        ("campaign_left", "+7495001", None),
        ("disappeared", None, None),
        ("number_changed", "+7495009", "virtual_phone_number, status, comment, extra"),
        ("rule_changed", "+7495009", "is_active"),
    ]


def test_kinds_of_the_view_are_words_of_the_command() -> None:
    """If the command `changes` has a kind for a row's change, the view uses the same word."""
    of_rows = {"number_changed", "campaign_changed"}
    assert {kind for kinds in [*KINDS.values(), SHARED_KINDS] for kind in kinds} - of_rows <= set(Kind)


def test_changes_tell_truth_values_alike_on_both_databases(told: Engine) -> None:
    """A truth value in `what` is true or false in JSON on both databases."""
    told_of = [row[5] or row[6] for row in _changes(told) if row[2] == "site block of a number"]
    assert sorted((value["is_tracking"] for value in told_of), key=str) == [False, True, True]
    assert all(isinstance(value["is_tracking"], bool) for value in told_of)


def test_scenario_names_are_alike_on_both_databases(warehouse: Engine) -> None:
    """Two scenarios of one name are listed once, and names have the same order on both databases."""
    scenarios = [scenario(1, "Same"), scenario(2, "Same"), scenario(3, "Again")]
    tell(warehouse, {"2026-01-06": [number(**ONE, scenarios=scenarios)]})
    assert _rows(warehouse, "select scenario_names from number_assignments") == [("Again, Same",)]


@pytest.mark.parametrize(
    "statement", [sql for language, sql in pages.blocks(ROOT / "docs/questions.md") if language == "sql"]
)
def test_statements_of_the_page_answer(told: Engine, statement: str) -> None:
    """Each statement of docs/questions.md runs as printed."""
    with told.connect() as connection:
        assert connection.execute(text(statement.rstrip().rstrip(";"))).returns_rows
