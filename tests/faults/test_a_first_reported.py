"""A09: fields that an edition of the API reports for the first time are known now; nothing of theirs has changed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.story import Record, campaign, number, scenario, tell

NEWER = ("child_customer_id", "comment", "name")
NEWER_OF_SCENARIOS = ("call_processing_rule_id", "is_active")
PATHS = [
    "$.child_customer_id",
    "$.comment",
    "$.name",
    "$.scenarios[].call_processing_rule_id",
    "$.scenarios[].is_active",
]


def older(record: Record) -> Record:
    """The record as the older edition sends it."""
    scenarios = [{k: v for k, v in s.items() if k not in NEWER_OF_SCENARIOS} for s in record["scenarios"]]
    return {k: v for k, v in record.items() if k not in NEWER} | {"scenarios": scenarios}


def _number(number_id: int, name: str | None = None, **fields: Any) -> Record:
    rule = scenario(40, "Hello", rule=70 + number_id)
    named = {"name": name, "comment": "note" if name else None}
    return number(number_id, f"749500{number_id}", scenarios=[rule], **named, **fields)


def _days(*listings: list[Record]) -> dict[str, list[Record]]:
    return {f"2026-01-{day:02}": listing for day, listing in enumerate(listings, 6)}


def _reported(engine: Engine) -> list[tuple[str, int]]:
    """What was first reported on which day of January."""
    statement = (
        "select r.path, s.observed_at from first_reported r"
        " join account_syncs s on s.run_id = r.run_id and s.account_id = r.account_id order by s.observed_at, r.path"
    )
    with engine.connect() as connection:
        return [(path, int(str(at)[8:10])) for path, at in connection.execute(text(statement))]


def test_a09_the_newer_edition_reports_its_fields(warehouse: Engine) -> None:
    """Each field that the last sync did not have is recorded with the run that has it, once."""
    new = [_number(1, "L1"), _number(2)]
    tell(warehouse, _days(list(map(older, new)), new, new))
    assert _reported(warehouse) == [(path, 7) for path in PATHS]


def test_a09_every_way_from_edition_to_edition(warehouse: Engine) -> None:
    """Old, new, old, new: recorded each time it comes, and not when an edition stays or goes."""
    new = [_number(1, "L1")]
    old = list(map(older, new))
    tell(warehouse, _days(old, new, old, old, new, new))
    assert _reported(warehouse) == [(path, day) for day in (7, 10) for path in PATHS]


def test_a09_what_is_reported_from_the_beginning_is_not_recorded(warehouse: Engine) -> None:
    """The first sync has nothing before it, and numbers that come later are new themselves."""
    tell(warehouse, _days([_number(1)], [_number(1, "L1"), _number(2, "L2")]))
    assert _reported(warehouse) == []


def test_a09_an_account_that_is_empty_reports_nothing(warehouse: Engine) -> None:
    """Without numbers no field is missed, and none is reported either; the next number brings all of its own."""
    tell(warehouse, _days([older(_number(1))], [], [_number(2, "L2")]), approve_close=frozenset({7}))
    assert _reported(warehouse) == []


def test_a09_scenarios_that_ended_report_no_rule(warehouse: Engine) -> None:
    """Numbers have no scenario any more: their other fields are reported, those of scenarios are not."""
    old = [older(_number(1)), older(_number(2))]
    tell(warehouse, _days(old, [_number(1) | {"scenarios": []}, _number(2) | {"scenarios": []}]))
    assert _reported(warehouse) == [(path, 7) for path in PATHS[:3]]


def test_a09_some_records_report_and_some_do_not(warehouse: Engine) -> None:
    """The first value of a field is recorded, and so is the day from which no record lacks it; nothing in between."""
    one, two, three = _number(1, "L1"), _number(2, "L2"), _number(3, "L3")
    listings = [
        [older(one), older(two), older(three)],
        [one, older(two), older(three)],
        [one, two, older(three)],
        [one, two, three],
    ]
    tell(warehouse, _days(*listings))
    first = [path for path in PATHS if path != "$.child_customer_id"]  # of which no value ever came
    assert _reported(warehouse) == [(path, 7) for path in first] + [(path, 9) for path in PATHS]


def test_a09_a_source_that_leaves_out_what_is_null(warehouse: Engine) -> None:
    """A record has a name only where there is one: a name that is given later is no first report of the field."""
    one, two, three = (_number(n) for n in (1, 2, 3))
    nameless = [{k: v for k, v in record.items() if k != "name"} for record in (one, two, three)]
    tell(warehouse, _days([_number(1, "L1"), *nameless[1:]], [_number(1, "L1"), _number(2, "L2"), nameless[2]]))
    assert _reported(warehouse) == []


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("$.activation_date", lambda n: n.pop("activation_date")),
        ("$.redirection_phone_number", lambda n: n.pop("redirection_phone_number")),
        ("$.campaigns[].campaign_name", lambda n: n["campaigns"][0].pop("campaign_name")),
        ("$.campaigns[].site_domain_name", lambda n: n["campaigns"][0].pop("site_domain_name")),
        ("$.campaigns[].site_blocks[].site_block_name", lambda n: _block(n).pop("site_block_name")),
        ("$.campaigns[].site_blocks[].is_tracking", lambda n: _block(n).pop("is_tracking")),
        ("$.scenarios[].scenario_name", lambda n: n["scenarios"][0].pop("scenario_name")),
    ],
)
def test_a09_any_field_that_may_be_missing(warehouse: Engine, path: str, left_out: Any) -> None:
    """Not only what the newer edition is documented to add: whatever was missing is recorded when it comes."""
    first = _number(1, campaigns=[campaign(10, "Spring", "a.example", tracked=True)])
    left_out(first)
    whole = _number(1, campaigns=[campaign(10, "Spring", "a.example", tracked=True)])
    tell(warehouse, _days([first], [whole]))
    assert _reported(warehouse) == [(path, 7)]


def _block(record: Record) -> Record:
    block: Record = record["campaigns"][0]["site_blocks"][0]
    return block


def test_a09_fields_that_no_documentation_names(warehouse: Engine) -> None:
    """An undocumented field that comes is recorded, also within a scenario, and not again while it stays."""
    later = _number(1, weight=5)
    later["scenarios"][0]["priority"] = 1
    tell(warehouse, _days([_number(1)], [later], [later | {"weight": 6}]))
    assert _reported(warehouse) == [("$.scenarios[].priority", 7), ("$.weight", 7)]
