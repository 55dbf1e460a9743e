"""A09: fields that an edition of the API reports for the first time become known; this is not a change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.read.change_kinds import Kind
from etl.read.changes import TimeRange, count_changes, read_changes
from etl.read.history import NumberHistory, read_histories
from etl.read.overview import read_overview
from etl.report import history
from etl.report.changes import as_object, headline, sentence
from etl.report.html.document import report_page
from etl.store.engine import begin_reading
from tests.support.story import Record, campaign, number, scenario, tell

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
    """The first reports, with their day of January."""
    statement = (
        "select r.path, s.observed_at from first_reported r"
        " join account_syncs s on s.run_id = r.run_id and s.account_id = r.account_id order by s.observed_at, r.path"
    )
    with engine.connect() as connection:
        return [(path, int(str(at)[8:10])) for path, at in connection.execute(text(statement))]


@pytest.mark.fault("A09")
def test_the_newer_edition_reports_its_fields(warehouse: Engine) -> None:
    """Each field that the last sync lacked is recorded once, with the run that has it."""
    new = [_number(1, "L1"), _number(2)]
    tell(warehouse, _days(list(map(older, new)), new, new))
    assert _reported(warehouse) == [(path, 7) for path in PATHS]


@pytest.mark.fault("A09")
def test_every_way_from_edition_to_edition(warehouse: Engine) -> None:
    """Old, new, old, new: recorded each time the fields appear, and not when they stay or disappear."""
    new = [_number(1, "L1")]
    old = list(map(older, new))
    tell(warehouse, _days(old, new, old, old, new, new))
    assert _reported(warehouse) == [(path, day) for day in (7, 10) for path in PATHS]


@pytest.mark.fault("A09")
def test_what_is_reported_from_the_beginning_is_not_recorded(warehouse: Engine) -> None:
    """The first sync has no predecessor, and later numbers are new themselves."""
    tell(warehouse, _days([_number(1)], [_number(1, "L1"), _number(2, "L2")]))
    assert _reported(warehouse) == []


@pytest.mark.fault("A09")
def test_an_account_that_is_empty_reports_nothing(warehouse: Engine) -> None:
    """Without numbers no field is missing, and none is reported; the next number has all its fields from its start."""
    tell(warehouse, _days([older(_number(1))], [], [_number(2, "L2")]), approve_close=frozenset({7}))
    assert _reported(warehouse) == []


@pytest.mark.fault("A09")
def test_scenarios_that_ended_report_no_rule(warehouse: Engine) -> None:
    """Numbers without scenarios any more: their other fields are recorded, those of scenarios are not."""
    old = [older(_number(1)), older(_number(2))]
    tell(warehouse, _days(old, [_number(1) | {"scenarios": []}, _number(2) | {"scenarios": []}]))
    assert _reported(warehouse) == [(path, 7) for path in PATHS[:3]]


@pytest.mark.fault("A09")
def test_some_records_report_and_some_do_not(warehouse: Engine) -> None:
    """The first value of a field is recorded, and the day from which no record lacks it; nothing in between."""
    one, two, three = _number(1, "L1"), _number(2, "L2"), _number(3, "L3")
    listings = [
        [older(one), older(two), older(three)],
        [one, older(two), older(three)],
        [one, two, older(three)],
        [one, two, three],
    ]
    tell(warehouse, _days(*listings))
    first = [path for path in PATHS if path != "$.child_customer_id"]  # the other one never had a value
    assert _reported(warehouse) == [(path, 7) for path in first] + [(path, 9) for path in PATHS]


@pytest.mark.fault("A09")
def test_a_source_that_leaves_out_what_is_null(warehouse: Engine) -> None:
    """A record has a name only if it is not null: a later name is not a first report of the field."""
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
@pytest.mark.fault("A09")
def test_any_field_that_may_be_missing(warehouse: Engine, path: str, left_out: Any) -> None:
    """Not only the fields documented for the newer edition: any missing field is recorded when it appears."""
    first = _number(1, campaigns=[campaign(10, "Spring", "a.example", tracked=True)])
    left_out(first)
    whole = _number(1, campaigns=[campaign(10, "Spring", "a.example", tracked=True)])
    tell(warehouse, _days([first], [whole]))
    assert _reported(warehouse) == [(path, 7)]


def _block(record: Record) -> Record:
    block: Record = record["campaigns"][0]["site_blocks"][0]
    return block


@pytest.mark.fault("A09")
def test_fields_that_no_documentation_names(warehouse: Engine) -> None:
    """A new undocumented field is recorded, also in a scenario, and not again while it stays."""
    later = _number(1, weight=5)
    later["scenarios"][0]["priority"] = 1
    tell(warehouse, _days([_number(1)], [later], [later | {"weight": 6}]))
    assert _reported(warehouse) == [("$.scenarios[].priority", 7), ("$.weight", 7)]


# -- reports to users


def _sentences(engine: Engine, day: int) -> list[str]:
    with begin_reading(engine) as connection:
        return [sentence(c.change_event) for c in read_changes(connection, TimeRange()) if c.observed_at.day == day]


EDITIONS = [
    "7495001 (1): customer is known now: 7",
    '7495001 (1): comment is known now: "note"',
    '7495001 (1): name is known now: "L1"',
    '7495001 (1): rule of scenario "Hello" (40) is known now: 71',
    '7495001 (1): state of the rule of scenario "Hello" (40) by rule 71 is known now: on',
]


@pytest.mark.fault("A09")
def test_changes_tell_what_is_known_now(warehouse: Engine) -> None:
    """The newer edition gives no rename, addition or removal; JSON has the field, null before and the value after."""
    new = [_number(1, "L1") | {"child_customer_id": 7}]
    tell(warehouse, _days(list(map(older, new)), new))
    assert _sentences(warehouse, 7) == EDITIONS
    with begin_reading(warehouse) as connection:
        told = [as_object(c) for c in read_changes(connection, TimeRange()) if c.observed_at.day == 7]
        counts = count_changes(connection, TimeRange())[7]
    assert [(c["kind"], c["field"], c["before"], c["after"]) for c in told] == [
        ("known", "child_customer_id", None, 7),
        ("known", "comment", None, "note"),
        ("known", "name", None, "L1"),
        ("known", "call_processing_rule_id", None, 71),
        ("known", "is_active", None, True),
    ]
    assert counts[Kind.KNOWN, "number"] == 5
    assert headline(TimeRange(), {7: counts}).startswith("2 changes, 5 fields known for the first time, observed ")
    assert {kind for kind, _ in counts} == {Kind.KNOWN, Kind.NUMBER_FIRST_SEEN, Kind.FIRST_SEEN}


@pytest.mark.fault("A09")
def test_changes_from_edition_to_edition(warehouse: Engine) -> None:
    """Old, new, old, new: a number added meanwhile becomes known when the fields return, and a name that differs from
    the known one is a change."""
    one, two = _number(1, "L1"), _number(2, "L2")
    renamed = one | {"name": "L9"}
    tell(warehouse, _days([older(one)], [one], [older(one), older(two)], [renamed, two], [renamed, two]))
    assert [_sentences(warehouse, day) for day in (8, 10)] == [
        ['7495002 (2): added: active, usual, va; processed by "Hello" (40)'],
        [],
    ]
    assert _sentences(warehouse, 7) == EDITIONS[1:]
    assert _sentences(warehouse, 9) == [
        '7495001 (1): name "L1" -> "L9"',
        *(line.replace("7495001 (1)", "7495002 (2)").replace("L1", "L2").replace("71", "72") for line in EDITIONS[1:]),
    ]


@pytest.mark.fault("A09")
def test_what_is_given_later_is_a_change(warehouse: Engine) -> None:
    """A reported null is known to be null: a later name or rule is a change."""
    bare = _number(1)
    bare["scenarios"][0]["call_processing_rule_id"] = None
    tell(warehouse, _days([older(bare)], [bare], [_number(1, "L1")]))
    assert _sentences(warehouse, 7) == [
        '7495001 (1): state of the rule of scenario "Hello" (40) is known now: on',
    ]
    assert _sentences(warehouse, 8) == [
        '7495001 (1): comment none -> "note"',
        '7495001 (1): name none -> "L1"',
        '7495001 (1): scenario "Hello" (40) by rule 71 changed: call_processing_rule_id 0 -> 71',
    ]


@pytest.mark.fault("A09")
def test_shared_things_and_undocumented_fields(warehouse: Engine) -> None:
    """A campaign's name, its site and an undocumented field become known, each in its own words."""
    whole = _number(1, campaigns=[campaign(10, "Spring", "a.example")], weight=5)
    first = _number(1, campaigns=[{"campaign_id": 10, "site_blocks": []}])
    tell(warehouse, _days([first], [whole]))
    assert _sentences(warehouse, 7) == [
        "7495001 (1): weight is known now: 5",
        'campaign 10: name is known now: "Spring"',
        'campaign "Spring" (10): site is known now: 5',
        'site "a.example" (5): seen for the first time',
    ]


def _life(engine: Engine) -> NumberHistory:
    (life,) = read_histories(engine, "1")
    return life


@pytest.mark.fault("A09")
def test_history_tells_what_is_known_now(warehouse: Engine) -> None:
    """The number's own fields, its scenario's rule and its campaign's name, in text and JSON; changes stay changes."""
    place = {"campaign_id": 10, "site_blocks": [], "site_id": 5, "site_domain_name": "a.example"}
    first = older(_number(1, campaigns=[place]))
    second = _number(1, "L1", campaigns=[place | {"campaign_name": "Spring"}], status="manual_lock", weight=5)
    tell(warehouse, _days([first], [second], [second | {"name": "L2", "weight": 6}]))
    life = _life(warehouse)
    words = [[str(row[2]) for row in table.rows] for table in history.tables(life, then=False)]
    assert words == [
        [
            "7495001, active, usual, va",
            "status active -> manual_lock; "
            'comment is known now: "note"; name is known now: "L1"; weight is known now: 5',
            'name "L1" -> "L2"; other fields {"weight": 5} -> {"weight": 6}',
        ],
        ['campaign 10 on "a.example" (5)', '"Spring" (10) on "a.example" (5); known now: name'],
        ['"Hello" (40)', '"Hello" (40) by rule 71, on; known now: rule, state of the rule'],
    ]
    (match,) = history.as_object("1", [life], None)["matches"]
    assert [span["known"] for span in match["number"]] == [[], ["comment", "name", "weight"], []]
    assert [span["known"] for span in match["campaigns"]] == [[], ["campaign_name"]]
    assert [span["known"] for span in match["scenarios"]] == [[], ["call_processing_rule_id", "is_active"]]


@pytest.mark.fault("A09")
def test_history_of_an_earlier_moment_knows_nothing_later(warehouse: Engine) -> None:
    """As of the day before the newer edition, its fields are unknown."""
    new = [_number(1, "L1")]
    tell(warehouse, _days(list(map(older, new)), new))
    (life,) = read_histories(warehouse, "1", moment=_life(warehouse).number[0].valid_from)
    assert [span.known for span in (*life.number, *life.scenarios)] == [{}, {}]


@pytest.mark.fault("A09")
def test_the_report_counts_what_is_known_apart(warehouse: Engine) -> None:
    """Rows that only became known are not changes of that day; changed and new ones are."""
    one, two, three = _number(1, "L1"), _number(2, "L2"), _number(3, "L3")
    tell(warehouse, _days([older(one), older(two)], [one, two | {"status": "manual_lock"}, three]))
    seen = read_overview(warehouse, datetime(2026, 1, 7, 23, tzinfo=UTC))
    day = seen.activity.days[-1]
    assert day.known == {"number": 1, "scenario of a number": 2}
    assert day.counts == {("number", "added"): 1, ("number", "changed"): 1, ("scenario of a number", "added"): 1}
    assert seen.activity.per_account == {7: (0, 3)}
    page = report_page(seen, made_at=seen.moment, max_age=timedelta(days=1), version="1", hide=str)
    assert ">known now</th>" in page
    assert "These are not changes" in page
