"""The three views that people ask, on both databases, over a story of five days told in literal records."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine, text

from tests.support.story import ONE, number, scenario, tell


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
    scenarios = [scenario(1, "Same"), scenario(2, "Same"), scenario(3, "Again")]
    tell(warehouse, {"2026-01-06": [number(**ONE, scenarios=scenarios)]})
    assert _rows(warehouse, "select scenario_names from number_assignments") == [("Again, Same",)]
