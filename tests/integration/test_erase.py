"""Erasure on both databases: the content is removed, the chain stays, and tampering disguised as erasure is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, insert, text

from etl.domain.verification import Verdict
from etl.erasure.warehouse import Erased, count_erasable, erase_number
from etl.errors import NotAllowed, TryLater, Usage
from etl.sandbox.world import CustomerPlan, World
from etl.store import schema
from etl.store.engine import begin_writing, open_warehouse
from etl.verify.warehouse import verify_warehouse
from tests.support.checkout import ROOT
from tests.support.rig import Rig

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PERSONAL = "virtual_phone_number, redirection_phone_number, comment, name, extra"
SECRET = "Irma Geheimrat"


@pytest.fixture
def rig(warehouse: Engine) -> Rig:
    """Three days in which one number's comment changed twice; other numbers have ids around it."""
    world = World(seed=3, customers=[CustomerPlan(numbers=40)], role="customer")
    made = Rig(world, warehouse)
    for day in range(3):
        world.edit(made.only, _number(made), comment=f"{SECRET} {day}", name=SECRET)
        made.sync()
    return made


def _number(rig: Rig) -> int:
    return sorted(rig.world.numbers(rig.only))[5]


def _erase(rig: Rig) -> Erased:
    return erase_number(rig.engine, rig.only, _number(rig), now=NOW, reason="request 17")


def _verify(rig: Rig, *heads: str) -> Verdict:
    return verify_warehouse(rig.engine, [(rig.only, head) for head in heads], lambda _: None)


def _head(rig: Rig) -> str:
    return str(rig.rows("select chain_digest from account_syncs order by observed_at desc")[0][0])


def _content(rig: Rig) -> list[tuple[Any, ...]]:
    history = f"select {PERSONAL} from virtual_numbers_history where virtual_number_id = :n order by valid_from"
    return [tuple(row) for row in rig.rows(history, n=_number(rig))]


def _execute(rig: Rig, statement: str, **parameters: Any) -> None:
    with begin_writing(rig.engine) as connection:
        assert connection.execute(text(statement), parameters).rowcount >= 1


def test_the_content_is_gone_and_the_chain_is_not(rig: Rig) -> None:
    """Every version of the number is empty, others are unchanged, the head verifies, and the erasure is on record."""
    head, others = _head(rig), rig.rows("select count(*) from virtual_numbers where name is not null")[0][0]
    assert count_erasable(rig.engine, rig.only, _number(rig)).versions == 3
    erased = _erase(rig)
    assert (erased.versions, erased.earlier, erased.quarantined) == (3, 0, 0)
    assert _content(rig) == [(None,) * 5] * 3
    assert rig.rows("select count(*) from virtual_numbers where name is not null")[0][0] == others - 1
    verdict = _verify(rig, head)
    assert (verdict.ok, verdict.problems) == (True, ())
    assert (verdict.accounts[0].erased, verdict.accounts[0].last_erased_at) == (3, "2026-03-01 12:00:00.000000")
    kept = rig.rows("select distinct reason from erasures")
    assert kept == [("request 17",)]


def test_a_sync_brings_no_old_version_back(rig: Rig) -> None:
    """A number that the vendor still lists gets one new version; old ones stay empty; a second erasure empties it."""
    _erase(rig)
    assert rig.sync().accounts[0].rows_opened == 1
    content = _content(rig)
    assert content[:3] == [(None,) * 5] * 3
    assert content[3][3] == SECRET
    assert rig.sync().accounts[0].rows_opened == 0
    assert _verify(rig, _head(rig)).ok
    again = _erase(rig)
    assert (again.versions, again.earlier) == (1, 3)
    assert _content(rig) == [(None,) * 5] * 4
    assert _verify(rig, _head(rig)).ok


def test_quarantined_records_of_the_number_are_erased(rig: Rig) -> None:
    """The quarantined record is replaced, and its row stays."""
    number = _number(rig)
    record = f'{{"id": {number}, "comment": "{SECRET}", "campaigns": 5}}'
    rig.world.put_raw(rig.only, number, record.encode())
    rig.sync()
    assert _erase(rig).quarantined == 1
    assert rig.rows("select record from quarantine") == [('{"erased": true}',)]
    assert _verify(rig, _head(rig)).ok


TAMPERED = {
    "another digest": "update erasures set digest = '" + "0" * 64 + "' where virtual_number_id = :n",
    "no record of it": "delete from erasures where virtual_number_id = :n",
    "content again": "update virtual_numbers set name = 'Somebody else' where virtual_number_id = :n",
    "another status": "update virtual_numbers set status = 'forged' where virtual_number_id = :n",
    "another past status": "update virtual_numbers_closed set status = 'forged' where virtual_number_id = :n",
    "a record of nothing": "insert into erasures select account_id, virtual_number_id + 1000000, valid_from, digest,"
    " erased_at, reason from erasures where virtual_number_id = :n",
}


@pytest.mark.parametrize("tampering", list(TAMPERED))
def test_tampering_dressed_as_an_erasure(rig: Rig, tampering: str) -> None:
    """An erased version, its digest and its record are bound together: any edit is found and named."""
    _erase(rig)
    _execute(rig, TAMPERED[tampering], n=_number(rig))
    verdict = _verify(rig)
    assert not verdict.ok
    assert {p.table for p in verdict.problems} <= {"virtual_numbers", "erasures"}
    assert any(f"virtual_number_id {_number(rig)}" in (p.key or "") or p.table == "erasures" for p in verdict.problems)


def test_another_number_s_content_cannot_be_emptied_on_its_record(rig: Rig) -> None:
    """An emptied version without a record of erasure is found: its digest is not the sealed one."""
    _erase(rig)
    other = sorted(rig.world.numbers(rig.only))[6]
    _execute(rig, "update virtual_numbers set name = null, comment = null where virtual_number_id = :n", n=other)
    (problem,) = _verify(rig).problems
    assert problem.key == f"virtual_number_id {other}"


def test_an_unknown_number_is_refused(rig: Rig) -> None:
    """The command is refused as a usage error and writes nothing."""
    with pytest.raises(Usage, match="never had a number 77"):
        erase_number(rig.engine, rig.only, 77, now=NOW, reason=None)
    assert rig.rows("select count(*) from erasures") == [(0,)]


def test_nothing_is_erased_under_a_run(rig: Rig) -> None:
    """During a run an erasure is refused, because the run may publish the content again."""

    def disturb(_request: object) -> None:
        if not seen:
            with pytest.raises(TryLater, match="is in progress"):
                _erase(rig)
            seen.append(True)

    seen: list[bool] = []
    rig.api.after_request.append(disturb)
    rig.sync()
    assert seen
    assert rig.rows("select count(*) from erasures") == [(0,)]


def test_no_byte_of_it_stays_in_a_sqlite_file(sqlite_template: Any, tmp_path: Any) -> None:
    """After the erasure neither the file nor its journal contains the name, and the stand-alone script verifies."""
    path = tmp_path / "erased.db"
    shutil.copy(sqlite_template, path)
    world = World(seed=3, customers=[CustomerPlan(numbers=40)], role="customer")
    made = Rig(world, open_warehouse(f"sqlite:///{path}"))
    for day in range(3):
        world.edit(made.only, _number(made), comment=f"{SECRET} {day}")
        made.sync()
    assert SECRET.encode() in b"".join(p.read_bytes() for p in tmp_path.iterdir())
    _erase(made)
    assert SECRET.encode() not in b"".join(p.read_bytes() for p in tmp_path.iterdir())
    script = ROOT / "docs" / "verify_chain.py"
    assert subprocess.run([sys.executable, script, path, _head(made)], check=False, capture_output=True).returncode == 0
    with begin_writing(made.engine) as connection:
        connection.execute(text("delete from erasures"))
    made.engine.dispose()
    assert subprocess.run([sys.executable, script, path], check=False, capture_output=True).returncode == 1


def test_a_role_that_only_loads_may_not(postgresql_template: str, new_postgresql: Callable[..., str]) -> None:
    """Exit 77, and the error names who may erase."""
    url = new_postgresql(postgresql_template)
    engine = open_warehouse(url)
    with begin_writing(engine) as connection:
        connection.execute(insert(schema.sync_runs), {"run_id": 1, "started_at": NOW, "finished_at": NOW,
                           "status": "succeeded", "source_url": "u", "version": "v"})  # fmt: skip
        connection.execute(insert(schema.current["virtual_numbers"]), {"account_id": 5, "virtual_number_id": 1,
                           "name": SECRET, "valid_from": NOW, "opened_run_id": 1})  # fmt: skip
        connection.execute(text("drop role if exists weak_loader"))
        connection.execute(text("create role weak_loader login"))
        connection.execute(text("grant usage on schema public to weak_loader"))
        connection.execute(text("grant select, insert, delete on all tables in schema public to weak_loader"))
        connection.execute(text("revoke insert on erasures from weak_loader"))
    weak = open_warehouse(url.replace("postgres:", "weak_loader:"))
    with pytest.raises(NotAllowed, match="only an owner") as caught:
        erase_number(weak, 5, 1, now=NOW, reason=None)
    assert caught.value.exit_code == 77
    with begin_writing(engine) as connection:
        connection.execute(text("drop owned by weak_loader"))
        connection.execute(text("drop role weak_loader"))
