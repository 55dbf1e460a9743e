"""S06 to S08, S18, S19: exports execute nothing, edits are found, and erased content stays verifiable."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from sqlalchemy import Engine, text

from etl.domain.verification import Verdict
from etl.erasure.warehouse import erase_number
from etl.errors import LocalTrouble, Usage
from etl.sandbox.world import CustomerPlan, World
from etl.snapshot.write import write_snapshot
from etl.store.engine import begin_writing
from etl.verify.warehouse import verify_warehouse
from tests.support.rig import Rig

FORMULAS = (
    "=1+1", "+7 495 123-45-67", "-2+3", "@SUM(1)", "\t=1+1", "\r=1+1", "\n=1+1", "a\r\n=1+1\n+2", '=HYPERLINK("x")',
    "=cmd|' /C calc'!A0", '" =1+1', '","=1+1', "'=1+1", "\uff1d1+1", "\x00=1+1", ";=1+1", " =1+1", '"\n=1+1',
)  # fmt: skip
PATHS = ("../../etc/passwd", "/etc/passwd", "CON", "a\x00b", "x" * 300, "..", "a/../../b", "~root", "$(id)", "C:\\x")


def _rig(engine: Engine, comments: tuple[str, ...]) -> Rig:
    world = World(seed=5, customers=[CustomerPlan(numbers=len(comments))], role="customer")
    rig = Rig(world, engine)
    for number, comment in zip(sorted(world.numbers(rig.only)), comments, strict=True):
        world.edit(rig.only, number, comment=comment, name=comment)
    rig.sync()
    return rig


def _snapshot(rig: Rig, folder: Path) -> Path:
    write_snapshot(rig.engine, rig.clock.now() + timedelta(seconds=1), folder, ("csv", "ndjson", "parquet"))
    return folder


def _cells(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, strict=True):
            yield from row


@pytest.mark.fault("S06")
def test_no_cell_of_a_csv_is_a_formula(warehouse: Engine, tmp_path: Path) -> None:
    """For any division of the file into cells and lines by a spreadsheet, no cell begins as a formula does."""
    folder = _snapshot(_rig(warehouse, FORMULAS), tmp_path / "out")
    cells = [cell for path in folder.glob("*.csv") for cell in _cells(path)]
    formula = re.compile("[ \u00a0]*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
    assert len(cells) > 100
    assert not [cell for cell in cells if formula.match(cell)]
    lines = [line for cell in cells for line in re.split("[\r\n]", cell)]
    assert not [line for line in lines if formula.match(line)]


@pytest.mark.fault("S07")
def test_other_exports_hold_typed_text(warehouse: Engine, tmp_path: Path) -> None:
    """NDJSON and Parquet need no apostrophes: texts are typed, and equal those of the warehouse."""
    rig = _rig(warehouse, FORMULAS)
    folder = _snapshot(rig, tmp_path / "out")
    told = sorted(str(row.comment) for row in rig.rows("select comment from virtual_numbers"))
    lines = (folder / "virtual_numbers.ndjson").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["comment"] for line in lines) == told
    table = pyarrow.parquet.read_table(folder / "virtual_numbers.parquet")
    assert sorted(table.column("comment").to_pylist()) == told
    assert str(table.schema.field("comment").type) == "string"


@pytest.mark.fault("S08")
def test_no_name_from_the_source_becomes_a_path(warehouse: Engine, tmp_path: Path) -> None:
    """Files are named after tables, for any names in the data, and are in the given folder only."""
    before = sorted(tmp_path.iterdir())
    folder = _snapshot(_rig(warehouse, PATHS), tmp_path / "out")
    names = sorted(path.name for path in folder.iterdir())
    assert all(re.fullmatch(r"[a-z_]+\.(csv|ndjson|parquet|json)", name) for name in names)
    assert len(names) == 9 * 3 + 1
    assert sorted(p for p in tmp_path.iterdir() if p.suffix != ".db-wal" and p.suffix != ".db-shm") == sorted(
        {*before, folder} - {p for p in before if p.suffix in (".db-wal", ".db-shm")}
    )


@pytest.mark.fault("S08")
def test_a_link_is_not_followed_to_another_folder(warehouse: Engine, tmp_path: Path) -> None:
    """`--out` that is a link to another folder is refused, and nothing is written there."""
    rig = _rig(warehouse, ("one",))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").symlink_to(elsewhere)
    with pytest.raises((Usage, LocalTrouble)):
        _snapshot(rig, tmp_path / "out")
    assert list(elsewhere.iterdir()) == []


def _verify(rig: Rig, *heads: str) -> Verdict:
    return verify_warehouse(rig.engine, [(rig.only, head) for head in heads], lambda _: None)


def _execute(rig: Rig, statement: str, **parameters: Any) -> None:
    with begin_writing(rig.engine) as connection:
        assert connection.execute(text(statement), parameters).rowcount >= 1


EDITS = {
    "a word of the past": "update virtual_numbers_closed set comment = 'never' where comment = 'first'",
    "when it ended": "update virtual_numbers_closed set valid_to = '2027-01-01 00:00:00.000000'",
    "a version less": "delete from virtual_numbers_closed",
    "the present": "update virtual_numbers set status = 'blocked' where comment = 'second'",
    "a link less": "delete from virtual_number_campaigns",
    "who was it": "update accounts set account_name = 'somebody else'",
    "the seal": "update account_syncs set chain_digest = '" + "0" * 64 + "'",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.fault("S18")
def test_an_edited_history_does_not_verify(warehouse: Engine, edit: str) -> None:
    """Any change of the past or the present is reported by verify, with the head and without it."""
    rig = _rig(warehouse, ("first",))
    rig.world.edit(rig.only, rig.world.numbers(rig.only)[0], comment="second")
    head = str(rig.sync().accounts[0].chain_digest)
    assert _verify(rig, head).ok
    _execute(rig, edit)
    assert not _verify(rig, head).ok
    assert _verify(rig).problems


@pytest.mark.fault("S18")
def test_a_history_cut_at_its_end_needs_the_head(warehouse: Engine) -> None:
    """A warehouse restored to yesterday's state is sound: only a head that was kept elsewhere reveals it."""
    rig = _rig(warehouse, ("first",))
    assert not _verify(rig, "0" * 64).ok
    assert "not in the chain" in _verify(rig, "0" * 64).problems[0].what


@pytest.mark.fault("S19")
def test_erasure_leaves_the_chain_verifiable(warehouse: Engine) -> None:
    """All of the number's content is removed; the head still verifies, and the erasure is on record."""
    rig = _rig(warehouse, ("Irma Geheimrat", "other"))
    number = sorted(rig.world.numbers(rig.only))[0]
    rig.world.edit(rig.only, number, comment="Irma G.")
    head = str(rig.sync().accounts[0].chain_digest)
    erase_number(warehouse, rig.only, number, now=datetime(2026, 6, 1, tzinfo=UTC), reason="asked for")
    everything = str(rig.rows("select * from virtual_numbers_history")) + str(rig.rows("select * from erasures"))
    assert "Irma" not in everything
    assert "other" in everything
    verdict = _verify(rig, head)
    assert verdict.ok, verdict.problems
    assert verdict.accounts[0].erased >= 1
