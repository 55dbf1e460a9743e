"""The chain: both databases give the same digests, and the history tables, read again, give them, too."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine, text

from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import open_warehouse
from tests.support.checkout import ROOT
from tests.support.rig import Rig

SCRIPT = ROOT / "docs" / "verify_chain.py"
ODD: list[dict[str, Any]] = [
    {"comment": "tab\tnewline\nreturn\r\b\f\v\\ \\N", "name": "\\N"},
    {"comment": "", "name": None},
    {"comment": "\u0000 and \u2400 and \ud800", "name": "Ünïcödé \U0001f600 \u202e\x7f\x01"},
    {"weight": 1.0, "zz": 1, "b": 1e300, "c": 1.5e-10, "d": [0.1, 1e22, -0.0, 12345678901234567890123], "é": {"ab": 1}},
    {"weight": 1, "nested": {"long name": [[], {}, "", {"\\": '\\\n\t"/\u2028'}], "s": None, "t": True}},
    {"text": "a\u0000b\u2400c", "aa": "A", "B": 2, "a": 3},
]


def _world() -> World:
    return World(seed=3, customers=[CustomerPlan(numbers=250), CustomerPlan(numbers=40)], role="agent")


def _make_odd(world: World, shift: int) -> None:
    """Give numbers, campaigns and scenarios values that are hard to encode, rotated by `shift` each day."""
    account_id = world.customer_ids[0]
    world.clear_raw(account_id)
    records = world.truth(account_id)
    noted = world.campaign_ids(account_id)[0]
    for record, fields in zip(records, [*ODD[shift:], *ODD[:shift], *[{}] * len(records)], strict=False):
        record |= fields
        for scenario in record["scenarios"]:
            scenario |= fields and {"note": fields}
        for campaign in record["campaigns"]:
            campaign |= {"note": ODD[shift]} if campaign["campaign_id"] == noted else {}
        world.put_raw(account_id, record["id"], json.dumps(record).encode())
    world.rename_campaign(account_id, world.campaign_ids(account_id)[-1], f"day\t{shift}\\")


def _days(engine: Engine) -> Rig:
    """Five days, among them a quiet one and one on which everything of the smaller account is removed."""
    rig = Rig(_world(), engine)
    rig.sync()
    for day in range(3):
        rig.world.pass_day(share=0.05)
        _make_odd(rig.world, day)
        rig.sync()
    rig.sync()
    small = rig.world.customer_ids[1]
    for number_id in list(rig.world.numbers(small)):
        rig.world.remove(small, number_id)
    rig.sync(approve_close=frozenset({small}))
    rig.world.add(small, 3)
    rig.sync()
    return rig


def _digests(rig: Rig) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for row in rig.rows(
            "select account_id, chain_digest, rows_opened, rows_closed from account_syncs"
            " where status = 'succeeded' order by account_id, observed_at"
        )
    ]


def test_both_databases_give_the_same_digests(
    sqlite_template: Path, postgresql_template: str, new_postgresql: Callable[..., str], tmp_path: Path,
    script: ModuleType,
) -> None:  # fmt: skip
    """The same days, with odd values, seal to the same digests; an independent script recomputes them from SQLite."""
    path = tmp_path / "chain.db"
    shutil.copy(sqlite_template, path)
    one = _days(open_warehouse(f"sqlite:///{path}"))
    other = _days(open_warehouse(new_postgresql(postgresql_template)))
    for table in ("virtual_numbers", "campaigns_closed", "virtual_number_scenarios_closed"):
        assert one.rows(f"select count(*) from {table} where extra is not null") != [(0,)]
    digests = _digests(one)
    assert digests == _digests(other)
    assert len({d[1] for d in digests}) == len(digests) == 14
    sections = "select table_name, change, versions, digest, locator from chain_sections order by 1, 2, 4"
    assert one.rows(sections) == other.rows(sections)
    assert script.main(str(path), digests[0][1], digests[-1][1]) == 0


def test_a_quiet_sync_is_a_link_too(warehouse: Engine) -> None:
    """A sync without changes has its own digest and writes no section."""
    rig = Rig(_world(), warehouse)
    first, second = rig.sync(), rig.sync()
    assert len({a.chain_digest for run in (first, second) for a in run.accounts}) == 4
    assert rig.rows("select distinct run_id from chain_sections") == [(first.run_id,)]
    assert rig.rows("select count(*) from account_syncs where length(chain_digest) = 64") == [(4,)]


def test_the_sync_keeps_the_account_s_facts(warehouse: Engine) -> None:
    """`account_syncs` has the name, time zone and user that the sync found, as `accounts` has them."""
    rig = Rig(_world(), warehouse)
    run = rig.sync()
    facts = "account_id, account_name, timezone, listed_by_user_id"
    kept = rig.rows(f"select {facts} from account_syncs order by 1")
    assert kept == rig.rows(f"select {facts} from accounts order by 1")
    assert [(a.account_id, a.account_name, a.timezone, a.listed_by_user_id) for a in run.accounts] == kept
    assert all(kept[0])


@pytest.mark.parametrize(
    ("table", "written", "says"),
    [
        ("virtual_numbers", "update", "virtual_numbers: 2 opened, but 1 found"),  # it is opened once more
        ("virtual_numbers_closed", "insert", "virtual_numbers: 1 closed, but 0 found"),
    ],
)
def test_a_seal_that_misses_a_row_is_refused(
    warehouse: Engine, database: str, table: str, written: str, says: str
) -> None:
    """A user's trigger deletes a version during publication: the error states the counts; nothing is published."""
    world = _world()
    rig = Rig(world, warehouse)
    rig.sync()
    account_id = world.customer_ids[0]
    lost = f"delete from {table} where virtual_number_id = new.virtual_number_id"
    trigger = f"create trigger lost after {written} on {table} begin {lost}; end"
    if database == "postgresql":
        function = f"create function lost() returns trigger language plpgsql as $$ begin {lost}; return null; end $$"
        trigger = f"{function}; create trigger lost after {written} on {table} for each row execute function lost()"
    with warehouse.begin() as connection:
        connection.exec_driver_sql(trigger)
    world.edit(account_id, world.numbers(account_id)[0], comment="mine")
    before = rig.rows("select * from virtual_numbers order by 1, 2")
    failed, other = rig.sync().accounts
    assert (failed.exit_code, other.status.value) == (70, "succeeded")
    assert says in str(failed.error)
    assert rig.rows("select * from virtual_numbers order by 1, 2") == before


MUTATIONS = {
    "a comment now": "update virtual_numbers set comment = 'mine' where virtual_number_id = :n",
    "a comment then": "update virtual_numbers_closed set comment = 'mine' where virtual_number_id = :m",
    "the end of a version": "update virtual_numbers_closed set valid_to = '2027-01-01 00:00:00.000000'"
    " where virtual_number_id = :m",
    "a link less": "delete from virtual_number_campaigns where virtual_number_id = :n",
    "the time zone": "update account_syncs set timezone = 'Asia/Omsk'"
    " where run_id = (select min(run_id) from sync_runs)",
    "a truth that is none": "update virtual_number_site_blocks set is_tracking = 2",
    "json that is none": "update virtual_numbers set extra = 'not json' where virtual_number_id = :n",
    "an erasure of what is there": "insert into erasures select account_id, virtual_number_id, valid_from, 'd',"
    " valid_from, null from virtual_numbers where virtual_number_id = :n",
    "a time that is a blob": "update virtual_numbers_closed set valid_to = cast(valid_to as blob)",
    "a name that is a blob": "update campaigns set campaign_name = cast(campaign_name as blob)",
    "text that is no utf-8": "update sites set site_domain_name = cast(x'ff' as text)",
    "a sync less": "delete from account_syncs where run_id = (select max(run_id) from sync_runs)",
}


@pytest.mark.parametrize("mutation", list(MUTATIONS))
def test_the_stand_alone_script_finds_an_edit(
    mutation: str, sqlite_template: Path, tmp_path: Path, script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a head kept elsewhere, an edited past, present or sync does not verify; without an edit it does."""
    path = tmp_path / "chain.db"
    shutil.copy(sqlite_template, path)
    world = World(seed=3, customers=[CustomerPlan(numbers=60)], role="customer")
    rig = Rig(world, open_warehouse(f"sqlite:///{path}"))
    for _ in range(3):
        head = rig.sync().accounts[0].chain_digest
        world.edit(rig.only, world.numbers(rig.only)[0], comment=str(_))
    assert script.main(str(path), head) == 0
    edited = rig.rows("select max(virtual_number_id) from virtual_numbers_closed")[0][0]
    linked = rig.rows("select max(virtual_number_id) from virtual_number_campaigns")[0][0]
    with sqlite3.connect(path) as connection:
        names = {"n": linked, "m": edited}
        connection.execute("pragma ignore_check_constraints = on")
        assert connection.execute(MUTATIONS[mutation], names).rowcount >= 1
    connection.close()
    capsys.readouterr()
    assert script.main(str(path), head) == 1
    assert "account" in capsys.readouterr().out
    rig.engine.dispose()


def test_the_functions_that_sqlite_lacks_are_on_every_connection(sqlite_template: Path) -> None:
    """SQL functions for a field, JSON's canonical text and a digest accept bytes, also those that are not UTF-8."""
    engine = open_warehouse(f"sqlite:///{sqlite_template}")
    wanted = {
        "vnsync_field(cast('a' || char(9) as blob))": b"a\\t",
        "vnsync_field(x'ff09')": b"\xff\\t",
        "vnsync_json(cast('[1e1]' as blob))": b"[10]",
        "vnsync_json(null)": None,
        "length(vnsync_digest(2, x'31', x'61', null))": 64,
    }
    with engine.connect() as connection:
        assert connection.execute(text(f"select {', '.join(wanted)}")).one() == tuple(wanted.values())


def test_the_stand_alone_script_looks_behind_the_views(
    sqlite_template: Path, tmp_path: Path, script: ModuleType
) -> None:
    """A replaced view hides nothing from the script; a head may be given with its account, as in other commands."""
    path = tmp_path / "odd name?#.db"
    shutil.copy(sqlite_template, tmp_path / "plain.db")
    world = World(seed=3, customers=[CustomerPlan(numbers=60)], role="customer")
    rig = Rig(world, open_warehouse(f"sqlite:///{tmp_path / 'plain.db'}"))
    head = rig.sync().accounts[0].chain_digest
    rig.engine.dispose()
    shutil.copy(tmp_path / "plain.db", path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("drop view sites_history; create view sites_history as select * from sites_closed")
    assert script.main(str(path), f"{rig.only}={head}", str(head).upper()) == 0
    assert script.main(str(path), f"{rig.only + 1}={head}") == 1


def test_the_stand_alone_script_says_what_it_cannot_read(tmp_path: Path) -> None:
    """A missing file, or one that is no warehouse, gives one line and no traceback."""
    (tmp_path / "other").write_text("no database" * 100)
    for name in ("missing", "other"):
        done = subprocess.run([sys.executable, SCRIPT, tmp_path / name], check=False, capture_output=True, text=True)
        assert done.returncode == 1
        assert "cannot be read as a vnsync warehouse" in done.stderr
        assert "Traceback" not in done.stderr
