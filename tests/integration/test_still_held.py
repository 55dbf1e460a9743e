"""A snapshot from before an erasure, on both databases and in each format: a note, unless more differs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from etl.erasure.warehouse import erase_number
from etl.report.snapshot import check_notes
from etl.snapshot.check import check
from etl.snapshot.write import write_snapshot
from tests.support.rig import FakeClock
from tests.support.story import number, tell

ERASED = datetime(2026, 3, 1, 12, tzinfo=UTC)
HARD = 'two\n"lines", =a\u2028 comma'


@pytest.fixture(params=["csv", "ndjson", "parquet"])
def old(request: pytest.FixtureRequest, warehouse: Engine, tmp_path: Path) -> Path:
    """A snapshot of three numbers; the second, with texts that are hard to parse, was erased afterwards."""
    numbers = [
        number(1, "74950000001", comment=HARD, color="red"),
        number(2, "74950000002", name=HARD, comment=HARD, color="blue"),
        number(3, "74950000003"),
    ]
    tell(warehouse, {"2026-01-06": numbers})
    write_snapshot(warehouse, FakeClock().now() + timedelta(days=1), tmp_path / "out", (request.param,))
    erase_number(warehouse, 7, 2, now=ERASED, reason=None)
    return tmp_path / "out"


def test_it_is_told_and_nobody_is_accused(old: Path, warehouse: Engine) -> None:
    """No problem, and a note that names the number; a new snapshot has none."""
    checked = check(old, warehouse)
    assert checked.problems == ()
    assert {(key[:2], at) for key, at in checked.still_held.items()} == {((7, 2), ERASED)}
    *_, note = check_notes(checked, "w")
    assert "from before an erasure" in note
    assert "1 number (2 of account 7)" in note
    anew = old.with_name("anew")
    write_snapshot(warehouse, FakeClock().now() + timedelta(days=1), anew, ("csv",))
    assert (check(anew, warehouse).problems, dict(check(anew, warehouse).still_held)) == ((), {})


@pytest.mark.parametrize(
    "edit",
    [
        "update virtual_numbers set status = 'x' where virtual_number_id = 2",
        "update virtual_numbers set comment = 'x' where virtual_number_id = 1",
        "delete from virtual_numbers where virtual_number_id = 3",
        "update erasures set virtual_number_id = 3",
    ],
)
def test_whatever_else_differs_is_a_problem(edit: str, old: Path, warehouse: Engine) -> None:
    """Another column of the erased number, another number's content, a missing row: the erasure excuses none."""
    with warehouse.begin() as connection:
        connection.execute(text(edit))
    checked = check(old, warehouse)
    assert [p.where.split(".")[0] for p in checked.problems] == ["virtual_numbers"]
    assert not checked.still_held


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_a_history_from_before_an_erasure(warehouse: Engine, tmp_path: Path, kind: str) -> None:
    """The note counts each erased version, also closed ones; any other difference is a problem."""
    days = {"2026-01-06": "first", "2026-01-07": HARD}
    tell(warehouse, {day: [number(2, "74950000002", comment=comment)] for day, comment in days.items()})
    write_snapshot(warehouse, FakeClock().now() + timedelta(days=2), tmp_path / "out", (kind,), history=True)
    erase_number(warehouse, 7, 2, now=ERASED, reason=None)
    checked = check(tmp_path / "out", warehouse)
    assert (checked.problems, len(checked.still_held)) == ((), 2)
    with warehouse.begin() as connection:
        connection.execute(text("update virtual_numbers_closed set status = 'x'"))
    (problem,) = check(tmp_path / "out", warehouse).problems
    assert problem.where == f"virtual_numbers_history.{kind}"
