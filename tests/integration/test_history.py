"""The history of one number, read from the story's warehouse, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.errors import Usage
from etl.read.history import NumberHistory, read_histories
from etl.read.timeline import Span
from tests.support.story import campaign, number, scenario, tell


def _day(moment: datetime | None) -> int | None:
    return moment.day if moment else None


def _spans(spans: tuple[Span, ...], *columns: str) -> list[tuple[Any, ...]]:
    return [(_day(s.valid_from), _day(s.valid_to), *(s.values[c] for c in columns)) for s in spans]


def _one(engine: Engine, wanted: str, **options: Any) -> NumberHistory:
    (life,) = read_histories(engine, wanted, **options)
    return life


def test_a_life_with_the_names_of_the_time(told: Engine) -> None:
    """Campaigns, their sites, blocks and scenarios with their periods; a renamed campaign appears under both names."""
    life = _one(told, "1")
    assert (life.account_name, life.timezone, life.listed, _day(life.observed_at)) == (
        "Seven", "Europe/Moscow", True, 10,
    )  # fmt: skip
    assert _spans(life.campaigns, "campaign_name", "site_domain_name") == [
        (6, 7, "Spring", "a.example"),
        (7, 8, "Summer", "a.example"),
        (8, 9, "Winter", "a.example"),
        (9, None, "Winter", "b.example"),
    ]
    assert _spans(life.site_blocks, "campaign_name", "site_block_name", "is_tracking") == [
        (6, 7, "Spring", "header", True),
        (7, 8, "Summer", "header", True),
        (8, None, "Winter", "header", False),
    ]
    assert _spans(life.scenarios, "scenario_name", "call_processing_rule_id", "is_active") == [
        (6, None, "Hello", 1, True),
        (6, None, "Hello", 2, True),
        (6, None, "Bye", 1, True),
    ]
    assert [_day(s.after) for s in life.campaigns] == [None, 6, 7, 8]


def test_a_number_that_came_back_shows_its_gap(told: Engine) -> None:
    """Two versions, the gap between them, and the comment that the number still has after its return."""
    life = _one(told, "2")
    assert _spans(life.number, "comment") == [(6, 8, None), (8, 9, "spare"), (10, None, "spare")]
    assert [(_day(g.valid_from), _day(g.valid_to)) for g in life.gaps] == [(9, 10)]


@pytest.mark.parametrize(
    ("day", "listed", "versions", "gaps"),
    [(6, True, [(6, None)], 0), (9, False, [(6, 8), (8, 9)], 0), (8, True, [(6, 8), (8, None)], 0)],
)
def test_as_of_knows_nothing_later(
    told: Engine, day: int, listed: bool, versions: list[tuple[int, int | None]], gaps: int
) -> None:
    """Later ends and beginnings are hidden: as of T the last version that was valid then is still open."""
    life = _one(told, "2", moment=datetime(2026, 1, day, 23, tzinfo=UTC))
    assert (life.listed, _spans(life.number), len(life.gaps), life.observed_at.day) == (listed, versions, gaps, day)


def test_names_as_of_are_those_known_then(told: Engine) -> None:
    """As of a moment before the renaming was observed, the campaign has its first name only."""
    life = _one(told, "1", moment=datetime(2026, 1, 6, 7, tzinfo=UTC))
    assert _spans(life.campaigns, "campaign_name") == [(6, None, "Spring")]


@pytest.fixture
def phones(warehouse: Engine) -> Engine:
    """Numbers stored in several spellings; one phone number belongs to another id the next day."""
    first = [
        number(10, "74951234567"),
        number(11, "+7 (495) 765-43-21"),
        number(12, "442079460958"),
        number(74951234, "78120000000"),
        number(13, "12125551234"),
        number(14, "72125551234"),
        number(15, "74955551299"),
        number(16, "78005550000", redirection_phone_number="+7 (499) 111-22-33"),
        number(17, "78005550001", redirection_phone_number="74991112244"),
    ]
    moved = number(17, "78005550001", redirection_phone_number="74991112255")
    second = [
        *(number(20, "74951234567"), *first[1:-1], moved),
        *(number(78120000000, "79990000000"), number(5551299, "79990000001")),
    ]
    tell(warehouse, {"2026-01-06": first, "2026-01-07": second})
    return warehouse


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ("74951234567", [10, 20]),
        ("8 (495) 123-45-67", [10, 20]),
        ("495 123 45 67", [10, 20]),
        ("123-45-67", [10, 20]),
        ("765 43 21", [11]),
        ("+7 495 765 43 21", [11]),
        ("84957654321", [11]),
        ("020 7946 0958", [12]),
        ("+44 20 7946 0958", [12]),
        ("+44 (0)20 7946 0958", [12]),
        ("0044 (0) 20 7946-0958", [12]),
        ("011 44 20 7946 0958", [12]),
        ("8-10-44-20-7946-0958", [12]),
        ("tel:+44-20-7946-0958", [12]),
        ("212-555-1234", [13, 14]),
        ("1 212 555 1234", [13]),
        ("8 212 555-12-34", [14]),
        ("5551299", [15, 5551299]),
        ("12", [12]),
        ("74951234", [74951234]),
        ("78120000000", [74951234, 78120000000]),
        ("8 499 111 22 33", [16]),
        ("111-22-33", [16]),
        ("74991112244", [17]),
        ("+7 499 111-22-55", [17]),
        ("499 111 22 44", [17]),
    ],
)
@pytest.mark.fault("A12")
def test_numbers_are_found_in_any_spelling_and_by_id(phones: Engine, wanted: str, ids: list[int]) -> None:
    """All matches of a phone number, redirection number or id, in any spelling, also in the past, in order."""
    assert [life.virtual_number_id for life in read_histories(phones, wanted)] == ids


@pytest.mark.parametrize("wanted", ["999", "+7 495 000-00-00", "99999999999999999999", "1234"])
def test_an_unknown_number_is_a_usage_error(phones: Engine, wanted: str) -> None:
    """An unknown number is a usage error that names it: exit 2."""
    with pytest.raises(Usage, match="was ever listed") as caught:
        read_histories(phones, wanted)
    assert caught.value.exit_code == 2


def test_what_is_no_number_and_an_unknown_account(phones: Engine) -> None:
    """A text that is no number, and an unknown account, each have their own usage error."""
    with pytest.raises(Usage, match="neither a phone number nor an id"):
        read_histories(phones, "abc")
    with pytest.raises(Usage, match="account 8 was never published"):
        read_histories(phones, "10", accounts=frozenset({8}))


def test_a_moment_before_the_first_sync(phones: Engine) -> None:
    """The state at that moment is unknown, and the remedy names the first observation."""
    with pytest.raises(Usage, match="before the first observation") as caught:
        read_histories(phones, "10", moment=datetime(2026, 1, 5, tzinfo=UTC))
    assert "2026-01-06T06:00:00Z" in caught.value.remedy


def test_unknown_fields_are_told_alike_on_both_databases(warehouse: Engine) -> None:
    """`extra` comes as JSON, whether the database stores text or JSONB."""
    place = {**campaign(10, "A", "a.example"), "color": "red"}
    rule = {**scenario(40, "S"), "since": [1, {"b": 2}]}
    tell(warehouse, {"2026-01-06": [number(1, "1", campaigns=[place], scenarios=[rule], tariff={"a": 1.5})]})
    life = _one(warehouse, "1")
    assert life.number[0].values["extra"] == {"tariff": {"a": 1.5}}
    assert life.scenarios[0].values["extra"] == {"since": [1, {"b": 2}]}
