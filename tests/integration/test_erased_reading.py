"""`history` and `changes` of an erased number, on both databases: the erasure is shown, and is not itself a change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from etl.erasure.warehouse import erase_number
from etl.read.change_kinds import Kind
from etl.read.changes import TimeRange, read_changes
from etl.read.history import read_histories
from etl.report import history as words
from etl.report.changes import sentence
from etl.report.terminal.tables import aligned
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import begin_reading
from tests.support.rig import Rig

ERASED = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def rig(warehouse: Engine) -> Rig:
    """Two comments, then a third one with a lock; then the number is erased, and the next sync lists it again."""
    made = Rig(World(seed=3, customers=[CustomerPlan(numbers=40)], role="customer"), warehouse)
    for fields in ({"comment": "one"}, {"comment": "two"}, {"comment": "three", "status": "manual_lock"}):
        made.world.edit(made.only, _number(made), **fields)
        made.sync()
        made.clock.pass_time(86_400)
    erase_number(warehouse, made.only, _number(made), now=ERASED, reason=None)
    made.sync()
    return made


def _number(rig: Rig) -> int:
    return sorted(rig.world.numbers(rig.only))[5]


def test_history_says_what_was_erased_and_when(rig: Rig) -> None:
    """Erased versions are marked; the new version is shown in full, not as a change of a phone number from none."""
    (life,) = read_histories(rig.engine, str(_number(rig)))
    assert [span.erased_at for span in life.number] == [ERASED] * 3 + [None]
    told = next(words.tables(life, then=False))
    text = aligned(told)
    assert text.count("personal content erased 2026-03-01 12:00:00") == 3
    assert "->" not in text.replace("status active -> manual_lock", "")
    assert str(life.virtual_phone_number) in text.splitlines()[-1]
    assert "none" not in text
    spans = words.as_object("1", [life], None)["matches"][0]["number"]
    assert [s["erased_at"] for s in spans] == ["2026-03-01T12:00:00Z"] * 3 + [None]


def test_the_heading_of_an_erased_number(rig: Rig) -> None:
    """As of a moment whose version was erased, the heading says that its phone number was erased."""
    (now,) = read_histories(rig.engine, str(_number(rig)))
    (then,) = read_histories(rig.engine, str(_number(rig)), moment=now.number[0].valid_from)
    assert words.heading(then, now.number[0].valid_from).startswith("phone number erased: number ")


def test_changes_tell_no_change_of_what_was_erased(rig: Rig) -> None:
    """A known change is shown as usual; a change in erased content is shown as erased."""
    with begin_reading(rig.engine) as connection:
        told = [c for c in read_changes(connection, TimeRange()) if c.change_event.number]
    mine = [c.change_event for c in told if c.change_event.number and c.change_event.number.id == _number(rig)]
    kinds = [change_event.kind for change_event in mine]
    assert kinds == [Kind.NUMBER_FIRST_SEEN, Kind.CONTENT_ERASED, Kind.LOCKED, Kind.CONTENT_ERASED]
    assert all(h.pairs for h in mine)
    assert sentence(mine[-1]).endswith("changed in personal content that was erased later")
