"""A12: a number that leaves one account and appears in another has moved; it is neither removed nor added."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from etl.domain.events import Event, Notice
from etl.read.change_kinds import Kind
from etl.read.changes import TimeRange, count_changes, read_changes
from etl.read.history import NumberHistory, read_histories
from etl.read.moves import Move
from etl.read.overview import read_overview
from etl.report import history
from etl.report.changes import as_object, sentence
from etl.report.html.document import report_page
from etl.store.engine import begin_reading
from etl.sync import moved
from tests.support.story import Record, number, tell, tell_agency

A, B = 51, 52
World = dict[int, list[Record]]


def _numbers(*ids: int) -> list[Record]:
    return [number(i, f"749500{i}") for i in ids]


def _days(*worlds: World) -> dict[str, World]:
    return {f"2026-01-{day:02}": world for day, world in enumerate(worlds, 6)}


def _notices(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice)]


def _sentences(engine: Engine, window: TimeRange | None = None) -> list[tuple[int, int, str]]:
    with begin_reading(engine) as connection:
        return [
            (c.observed_at.day, c.account_id, sentence(c.change_event))
            for c in read_changes(connection, window or TimeRange())
            if c.observed_at.day > 6
        ]


@pytest.mark.parametrize(("giver", "taker", "names"), [(A, B, ("Alpha", "Beta")), (B, A, ("Beta", "Alpha"))])
@pytest.mark.fault("A12")
def test_a_number_moves_from_one_customer_to_another(
    warehouse: Engine, giver: int, taker: int, names: tuple[str, str]
) -> None:
    """In one run, with either account synced first: a notice, and both accounts' changes name the other one."""
    first, second = {giver: _numbers(1, 7), taker: _numbers(2)}, {giver: _numbers(1), taker: _numbers(2, 7)}
    told = tell_agency(warehouse, _days(first, second))
    assert _notices(told[1]) == [f"number 7 moved from account {giver} to account {taker}"]
    assert sorted(_sentences(warehouse)) == sorted(
        [
            (7, giver, f'7495007 (7): moved to account {taker} "{names[1]}"; it was active, usual, va'),
            (7, taker, f'7495007 (7): moved from account {giver} "{names[0]}": active, usual, va'),
        ]
    )


@pytest.mark.fault("A12")
def test_json_and_totals_name_the_other_account(warehouse: Engine) -> None:
    """The entity of the change is the other account; kinds and totals are those of moves."""
    tell_agency(warehouse, _days({A: _numbers(1, 7), B: _numbers(2)}, {A: _numbers(1), B: _numbers(2, 7)}))
    with begin_reading(warehouse) as connection:
        told = [as_object(c) for c in read_changes(connection, TimeRange()) if c.observed_at.day == 7]
        counts = count_changes(connection, TimeRange(start=datetime(2026, 1, 6, 23, tzinfo=UTC)))
    assert [(c["kind"], c["virtual_number_id"], c["entity"], c["entity_id"], c["entity_name"]) for c in told] == [
        ("number_moved_out", 7, "account", B, "Beta"),
        ("number_moved_in", 7, "account", A, "Alpha"),
    ]
    assert counts == {A: {(Kind.NUMBER_MOVED_OUT, "number"): 1}, B: {(Kind.NUMBER_MOVED_IN, "number"): 1}}


@pytest.mark.fault("A12")
def test_a_number_that_was_the_other_account_s_already(warehouse: Engine) -> None:
    """Listed in both for a day, as its removal was not proven: moved in when it appears, moved out when it ends."""
    worlds = {A: _numbers(1, 7), B: _numbers(2)}, {A: _numbers(1, 7), B: _numbers(2, 7)}
    told = tell_agency(warehouse, _days(*worlds, {A: _numbers(1), B: _numbers(2, 7)}))
    assert [_notices(day) for day in told] == [[], [], ["number 7 moved from account 51 to account 52"]]
    assert _sentences(warehouse) == [
        (8, A, '7495007 (7): moved to account 52 "Beta"; it was active, usual, va'),
        (7, B, '7495007 (7): moved from account 51 "Alpha": active, usual, va'),
    ]


@pytest.mark.fault("A12")
def test_a_new_customer_that_takes_a_number_over(warehouse: Engine) -> None:
    """The number is moved, not first seen, although this is the customer's first sync."""
    tell_agency(warehouse, _days({A: _numbers(1, 7)}, {A: _numbers(1), B: _numbers(7, 8)}))
    assert _sentences(warehouse)[1:] == [
        (7, B, '7495007 (7): moved from account 51 "Alpha": active, usual, va'),
        (7, B, "7495008 (8): seen for the first time: active, usual, va"),
    ]


@pytest.mark.fault("A12")
def test_what_ends_and_begins_apart_is_no_move(warehouse: Engine) -> None:
    """One account lost the number in one run and another got it in a later one: no move."""
    worlds = {A: _numbers(1, 7), B: _numbers(2)}, {A: _numbers(1), B: _numbers(2)}, {A: _numbers(1), B: _numbers(2, 7)}
    told = tell_agency(warehouse, _days(*worlds))
    assert [_notices(day) for day in told] == [[], [], []]
    assert [text.split(";")[0].split(": active")[0] for _, _, text in _sentences(warehouse)] == [
        "7495007 (7): removed",
        "7495007 (7): added",
    ]


@pytest.mark.fault("A12")
def test_ids_that_two_accounts_share_from_the_beginning(warehouse: Engine) -> None:
    """Accounts that were loaded with the same id have no move; edits of it are no moves either."""
    edited = [number(1, "7495001", name="x")]
    told = tell_agency(warehouse, _days({A: _numbers(1), B: _numbers(1)}, {A: edited, B: _numbers(1)}))
    with begin_reading(warehouse) as connection:
        kinds = [c.change_event.kind for c in read_changes(connection, TimeRange())]
    assert kinds == [Kind.NUMBER_FIRST_SEEN, Kind.NAME_CHANGED, Kind.NUMBER_FIRST_SEEN]
    assert [_notices(day) for day in told] == [[], []]


@pytest.mark.fault("A12")
def test_there_and_back_again(warehouse: Engine) -> None:
    """Each way is a separate move, in changes and in the history of both accounts, in text and JSON."""
    here, there = {A: _numbers(1, 7), B: _numbers(2)}, {A: _numbers(1), B: _numbers(2, 7)}
    told = tell_agency(warehouse, _days(here, there, here))
    assert _notices(told[2]) == ["number 7 moved from account 52 to account 51"]
    own, other = read_histories(warehouse, "7")
    assert _words(own) == [
        "7495007, active, usual, va",
        'not listed: moved to account 52 "Beta", and came back',
        'moved from account 52 "Beta": 7495007, active, usual, va',
    ]
    assert _words(other) == ['moved from account 51 "Alpha": 7495007, active, usual, va']
    assert 'moved to account 51 "Alpha" since 2026-01-08' in history.heading(other, None)
    (first, second) = history.as_object("7", [own, other], None)["matches"]
    assert [(m["at"][:10], m["came"], m["account_id"], m["account_name"]) for m in first["moves"]] == [
        ("2026-01-07", False, B, "Beta"),
        ("2026-01-08", True, B, "Beta"),
    ]
    assert [(m["at"][:10], m["came"], m["account_id"]) for m in second["moves"]] == [
        ("2026-01-07", True, A),
        ("2026-01-08", False, A),
    ]


def _words(life: NumberHistory) -> list[str]:
    own = next(history.tables(life, then=False))
    return [str(row[2]) for row in own.rows]


@pytest.mark.fault("A12")
def test_as_of_knows_nothing_later(warehouse: Engine) -> None:
    """Between the observations of the two accounts, a number that ended in the first is not yet in the second."""
    tell_agency(warehouse, _days({A: _numbers(1, 7), B: _numbers(2)}, {A: _numbers(1), B: _numbers(2, 7)}))
    with begin_reading(warehouse) as connection:
        ended = next(c.observed_at for c in read_changes(connection, TimeRange()) if c.observed_at.day == 7)
        began = max(c.observed_at for c in read_changes(connection, TimeRange()))
    assert ended < began
    (told,) = _sentences(warehouse, TimeRange(end=ended))
    assert told == (7, A, "7495007 (7): removed; it was active, usual, va")
    (life,) = read_histories(warehouse, "7", moment=ended)
    assert life.moves == ()
    assert "gone since" in history.heading(life, ended)


@pytest.mark.fault("A12")
def test_a_warehouse_of_one_account_has_no_moves(warehouse: Engine) -> None:
    """A number that disappears is removed, and the run makes no query for moves."""
    asked: list[str] = []
    event.listen(warehouse, "before_cursor_execute", lambda *a: asked.append(a[2]))
    tell(warehouse, {"2026-01-06": _numbers(1, 7), "2026-01-07": _numbers(1)})
    assert [text for _, _, text in _sentences(warehouse)] == ["7495007 (7): removed; it was active, usual, va"]
    assert [statement for statement in asked if "open_elsewhere" in statement] == []


@pytest.mark.fault("A12")
def test_one_query_for_a_run_and_none_where_nothing_was_closed(warehouse: Engine) -> None:
    """One query for any count of moves; a run that closes no number makes none."""
    asked: list[list[str]] = [[]]
    event.listen(warehouse, "before_cursor_execute", lambda *a: asked[-1].append(a[2]))
    first = {A: _numbers(*range(1, 30)), B: _numbers(99)}
    second = {A: _numbers(*range(1, 23)), B: _numbers(*range(23, 30), 99)}
    told = tell_agency(warehouse, _days(first, first, second))
    assert sum("open_elsewhere" in statement for statement in asked[0]) == 1
    assert _notices(told[2]) == [
        "7 numbers moved between accounts: 23 from 51 to 52, 24 from 51 to 52, 25 from 51 to 52, 26 from 51 to 52,"
        " 27 from 51 to 52, and 2 more"
    ]


@pytest.mark.parametrize(("count", "lines"), [(0, 0), (1, 1), (5, 5), (6, 1)])
@pytest.mark.fault("A12")
def test_few_moves_are_told_one_by_one(count: int, lines: int) -> None:
    """Up to five moves give a notice each; more give a single one."""
    moves = [Move(virtual_number_id=i, account_id=A, to_account_id=B) for i in range(count)]
    assert len(list(moved.worded(moves))) == lines


@pytest.mark.fault("A12")
def test_the_report_counts_moves_apart(warehouse: Engine) -> None:
    """Counted as moved, once in each account, neither added nor removed; the page explains it."""
    tell_agency(warehouse, _days({A: _numbers(1, 7), B: _numbers(2)}, {A: _numbers(1), B: _numbers(2, 7, 8)}))
    seen = read_overview(warehouse, datetime(2026, 1, 7, 23, tzinfo=UTC))
    assert seen.activity.days[-1].counts == {("number", "moved"): 2, ("number", "added"): 1}
    page = report_page(seen, made_at=seen.moment, max_age=timedelta(days=1), version="1", hide=str)
    assert ">moved</th>" in page
    assert "went from one account to another" in page


@pytest.mark.fault("A12")
def test_moves_on_the_day_of_a_new_edition(warehouse: Engine) -> None:
    """If the account also reports a field for the first time, the report still counts the move."""

    def older(records: list[Record]) -> list[Record]:
        return [{k: v for k, v in record.items() if k != "name"} for record in records]

    def named(*ids: int) -> list[dict[str, Any]]:
        return [record | {"name": "x"} for record in _numbers(*ids)]

    first = {A: older(_numbers(1, 7)), B: older(_numbers(2))}
    tell_agency(warehouse, _days(first, {A: named(1), B: named(2, 7)}))
    day = read_overview(warehouse, datetime(2026, 1, 7, 23, tzinfo=UTC)).activity.days[-1]
    assert (day.counts, day.known) == ({("number", "moved"): 2}, {"number": 2})
