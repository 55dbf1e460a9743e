"""Named queries of `vnsync describe --format datasette`: their answers over the story of five days."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.describe.datasette_queries import QUERIES
from tests.support.story import DAYS, tell


@pytest.fixture
def story(sqlite_warehouse: Engine) -> Engine:
    """The five days in SQLite, the only database that Datasette reads."""
    tell(sqlite_warehouse, DAYS)
    return sqlite_warehouse


def _answer(engine: Engine, name: str, **fields: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(str(QUERIES[name]["sql"])), fields).mappings())


@pytest.mark.parametrize("wanted", ["+7495001", "1"])
def test_one_number_s_life(story: Engine, wanted: str) -> None:
    """A number, given by phone number or id: its versions, its campaigns by their names of the time, its scenarios."""
    rows = _answer(story, "number_life", number=wanted)
    assert {row["virtual_number_id"] for row in rows} == {1}
    days = [(row["valid_from"][:10], (row["valid_to"] or "")[:10], row["what"], row["value"]) for row in rows]
    assert days == [
        ("2026-01-06", "2026-01-07", "campaign", "Spring"),
        ("2026-01-06", "", "number", "+7495001: active"),
        ("2026-01-06", "", "scenario", "Hello"),
        ("2026-01-06", "", "scenario", "Hello"),
        ("2026-01-06", "", "scenario", "Bye"),
        ("2026-01-07", "2026-01-08", "campaign", "Summer"),
        ("2026-01-08", "2026-01-09", "campaign", "Winter"),
        ("2026-01-09", "", "campaign", "Winter"),
    ]


def test_a_number_that_was_away_has_both_lives(story: Engine) -> None:
    """The query also finds a number by the phone number of a closed version."""
    rows = _answer(story, "number_life", number="+7495002")
    assert [row["value"] for row in rows if row["what"] == "number"] == ["+7495002: active"] * 3
    assert rows[-1]["valid_to"] is None


@pytest.mark.parametrize(
    ("moment", "answer"),
    [
        ("2026-01-06 05:59:59", ("before", None, None, "Spring")),
        ("2026-01-06 12:00:00", ("certain", "Spring", "Spring", "Spring")),
        ("2026-01-07 12:00:00", ("changed", None, "Summer", "Winter")),
        ("2026-01-12 00:00:00", ("later", None, "Winter", None)),
    ],
)
def test_campaign_of_a_call(story: Engine, moment: str, answer: tuple[str | None, ...]) -> None:
    """The row has the certainty, the campaign by its name of the time, and the candidates before and after."""
    (row,) = _answer(story, "attribution", phone="+7495001", call_time=moment)
    names = ("certainty", "campaign_name", "campaign_name_before", "campaign_name_after")
    assert tuple(row[name] for name in names) == answer


def test_what_changed_on_a_day(story: Engine) -> None:
    """The changes of that day only; an empty field means yesterday, when nothing was observed here."""
    rows = _answer(story, "changed", day="2026-01-09")
    assert sorted((row["entity"], row["change"]) for row in rows) == [("number", "removed"), ("site", "changed")]
    assert _answer(story, "changed", day="") == []
