"""G04: columns, keys, triggers and constraints that others add to the current tables survive a sync."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from etl.domain.tables import BY_NAME, TABLES
from etl.sandbox.world import CustomerPlan, World
from etl.verify.warehouse import verify_warehouse
from tests.support import oracle
from tests.support.fault_clusters import wait_for
from tests.support.rig import Rig

NAMES = [t.name for t in TABLES]
OURS = {"account_id", "valid_from", "opened_run_id", *(c.name for t in TABLES for c in t.columns)}
HISTORY = {"valid_to", "closed_run_id", "changed_at", "observed_at", "missing", "table_name", "entity", "key", "change"}


def _rig(engine: Engine, customers: int = 1) -> Rig:
    plans = [CustomerPlan(numbers=120) for _ in range(customers)]
    return Rig(World(seed=5, customers=plans, role="customer" if customers == 1 else "agent"), engine)


def _do(rig: Rig, *statements: str) -> None:
    with rig.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _change_everything(rig: Rig, day: int, share: int = 3) -> None:
    """Edit every third number, and the names and states of its campaigns, blocks, sites and scenarios."""
    account_id = rig.world.customer_ids[0]
    rig.world.clear_raw(account_id)
    for record in rig.world.truth(account_id):
        mark = f" · day {day}"
        if record["id"] % share == 0:
            record["comment"] = f"comment{mark}"
        for campaign in record["campaigns"]:
            odd = campaign["campaign_id"] % 2
            campaign["campaign_name"] += mark * odd
            campaign["site_domain_name"] = f"{campaign['site_id']}-{day}.example"
            for block in campaign["site_blocks"]:
                block["site_block_name"] += mark * (block["site_block_id"] % 2)
                block["is_tracking"] = bool((record["id"] + day) % 2)
        for scenario in record["scenarios"]:
            scenario["scenario_name"] += mark * (scenario["scenario_id"] % 2)
            scenario["is_active"] = bool((record["id"] + day) % 2)
        rig.world.put_raw(account_id, record["id"], json.dumps(record).encode())


def _day(rig: Rig, day: int) -> None:
    """A day on which numbers are added, removed, moved and changed, and changeable rows of every table change."""
    rig.world.clear_raw(rig.world.customer_ids[0])
    rig.world.pass_day(share=0.1)
    _change_everything(rig, day)


def _keys(rig: Rig, table: str, *more: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Some columns of a table's current rows by their keys."""
    key = ["account_id", *BY_NAME[table].key_names]
    rows = rig.rows(f"select {', '.join([*key, *more])} from {table}")
    return {tuple(r[: len(key)]): tuple(r[len(key) :]) for r in rows}


def _own_columns(rig: Rig) -> None:
    """Users' own columns: one nullable, one with a default, and one for each name that vnsync uses elsewhere."""
    for table in TABLES:
        taken = {"account_id", "valid_from", "opened_run_id", *(c.name for c in table.columns)}
        _do(
            rig,
            f"alter table {table.name} add column mine text",
            f"alter table {table.name} add column counted integer not null default 7",
            *(f"alter table {table.name} add column {name} text" for name in sorted((OURS | HISTORY) - taken)),
        )


def _fill(rig: Rig, mark: str) -> None:
    for table in TABLES:
        written = " || ':' || ".join(f"cast({name} as text)" for name in table.key_names)
        _do(rig, f"update {table.name} set mine = '{mark}:' || {written}, counted = 8 where mine is null")


@pytest.mark.fault("G04")
def test_columns_of_others_keep_their_values(warehouse: Engine, other_warehouse: Engine) -> None:
    """After three days of changes in all eight tables every row that stayed has the users' values, and a new one has
    their defaults; for any names of the columns, heads and history equal those of a warehouse without them."""
    rig, plain = _rig(warehouse), _rig(other_warehouse)
    rig.sync(), plain.sync()
    _own_columns(rig)
    updated: Counter[str] = Counter()
    for day in range(1, 4):
        _fill(rig, f"day {day}")
        before = {name: _keys(rig, name, "mine", "counted", "valid_from") for name in NAMES}
        for each in (rig, plain):
            _day(each, day)
            assert each.sync().exit_code == 0
        for name in NAMES:
            for key, (mine, counted, since) in _keys(rig, name, "mine", "counted", "valid_from").items():
                known = before[name].get(key)
                assert (mine, counted) == (known[:2] if known else (None, 7)), (name, key)
                updated[name] += known is not None and known[2] != since
    assert set(updated) | {"virtual_number_campaigns"} == set(NAMES)
    assert min(updated[t.name] for t in TABLES if t.values) > 0
    heads = "select chain_digest from account_syncs order by observed_at"
    assert rig.rows(heads) == plain.rows(heads)
    for name in NAMES:
        columns = f"account_id, {oracle.COLUMNS[name]}, valid_from, valid_to"
        asked = f"select {columns} from {name}_history order by 1, 2, 3, 4"
        assert sorted(map(str, rig.rows(asked))) == sorted(map(str, plain.rows(asked)))
    problems = {problem.what for problem in verify_warehouse(rig.engine, [], lambda _: None).problems}
    assert problems <= {f"the table {name} was changed" for name in NAMES}
    for view in ("number_assignments", "number_campaign_periods", "changes"):
        assert len(rig.rows(f"select * from {view}")) == len(plain.rows(f"select * from {view}")) > 0


def _ledger(rig: Rig, database: str) -> None:
    """Users' own triggers that record the key of each row that is deleted, inserted or updated."""
    _do(rig, "create table ledger (name text, deed text, k text)")
    for table in TABLES:
        for deed, row in (("delete", "old"), ("insert", "new"), ("update", "new")):
            key = " || ':' || ".join(f"cast({row}.{name} as text)" for name in table.key_names)
            note = f"insert into ledger values ('{table.name}', '{deed}', {key})"
            trigger = f"create trigger {deed}_{table.name} after {deed} on {table.name} for each row"
            if database == "postgresql":
                function = f"create function {deed}_{table.name}() returns trigger language plpgsql"
                _do(rig, f"{function} as $$ begin {note}; return null; end $$")
                _do(rig, f"{trigger} execute function {deed}_{table.name}()")
            else:
                _do(rig, f"{trigger} begin {note}; end")


@pytest.mark.fault("G04")
def test_only_what_is_gone_is_deleted(warehouse: Engine, database: str) -> None:
    """Triggers see in each of the eight tables: a row is deleted only if it is gone afterwards, inserted only if it was
    absent, and a changed row is updated once."""
    rig = _rig(warehouse)
    rig.sync()
    _ledger(rig, database)
    for day in range(1, 4):
        before = {name: _keys(rig, name, "valid_from") for name in NAMES}
        _do(rig, "delete from ledger")
        _day(rig, day)
        assert rig.sync().exit_code == 0
        for name in NAMES:
            after = _keys(rig, name, "valid_from")
            stayed = before[name].keys() & after.keys()
            wanted = Counter(
                {
                    "delete": len(before[name].keys() - after.keys()),
                    "insert": len(after.keys() - before[name].keys()),
                    "update": sum(before[name][key] != after[key] for key in stayed),
                }
            )
            seen = rig.rows("select deed, count(*), count(distinct k) from ledger where name = :n group by 1", n=name)
            assert {deed: rows for deed, rows, _ in seen} == +wanted, name
            assert all(rows == keys for _, rows, keys in seen), name


@pytest.mark.fault("G04")
def test_rows_that_refer_to_current_rows_stay(warehouse: Engine) -> None:
    """A user's own table with ON DELETE CASCADE to each of the eight loses only rows of removed keys."""
    rig = _rig(warehouse)
    rig.sync()
    for table in TABLES:
        key = ("account_id", *table.key_names)
        of = ", ".join(key)
        _do(
            rig,
            f"create table notes_{table.name} ({', '.join(f'{k} bigint' for k in key)}, note text,"
            f" foreign key ({of}) references {table.name} ({of}) on delete cascade)",
            f"insert into notes_{table.name} ({of}, note) select {of}, 'mine' from {table.name}",
        )
    kept = {name: set(_keys(rig, name)) for name in NAMES}
    for day in range(1, 4):
        _day(rig, day)
        assert rig.sync().exit_code == 0
        kept = {name: keys & set(_keys(rig, name)) for name, keys in kept.items()}
    for table in TABLES:
        of = ", ".join(("account_id", *table.key_names))
        noted = {tuple(r) for r in rig.rows(f"select {of} from notes_{table.name}")}
        assert kept[table.name]
        if warehouse.name == "postgresql":
            assert noted == kept[table.name]
        assert kept[table.name] <= noted  # SQLite follows foreign keys on request only


@contextmanager
def _statements(engine: Engine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.fault("G04")
def test_in_sets(warehouse: Engine, other_warehouse: Engine) -> None:
    """For any count of changed rows the count of statements is the same: none writes row by row."""
    counts = []
    for engine, numbers in ((warehouse, 20), (other_warehouse, 300)):
        rig = Rig(World(seed=5, customers=[CustomerPlan(numbers=numbers)], role="customer"), engine)
        for day in (1, 2):
            rig.sync()
            _change_everything(rig, day)
        rig.world.remove(rig.only, rig.world.numbers(rig.only)[0])
        with _statements(engine) as seen:
            changes = rig.sync().accounts[0].changes
        written = [s for s in seen if any(f"{verb} {name}" in s for verb in ("UPDATE", "INTO") for name in NAMES)]
        counts.append((len(written), changes["virtual_number_scenarios"].opened))
    (few, small), (many, large) = counts
    assert few == many > 0
    assert large > 10 * small > 0


@pytest.mark.fault("G04")
def test_what_others_write_meanwhile_stays(warehouse: Engine, database: str) -> None:
    """Another program writes to its own column while a sync changes the same row: the sync waits, and both changes are
    there afterwards."""
    if database == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    rig = _rig(warehouse)
    rig.sync()
    _do(rig, "alter table virtual_numbers add column mine text")
    number_id = rig.world.numbers(rig.only)[0]
    rig.world.edit(rig.only, number_id, comment="theirs")
    waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    results: list[Any] = []
    with warehouse.connect() as other:
        other.execute(text("update virtual_numbers set mine = 'kept' where virtual_number_id = :n"), {"n": number_id})
        sync = threading.Thread(target=lambda: results.append(rig.sync()))
        sync.start()
        wait_for(lambda: rig.rows(waits)[0][0], what="the sync's wait for the row")
        other.commit()
        sync.join()
    assert results[0].exit_code == 0
    found = rig.rows("select mine, comment from virtual_numbers where virtual_number_id = :n", n=number_id)
    assert found == [("kept", "theirs")]
    assert oracle.broken_invariants(warehouse) == []


# -- constraints that forbid the change

GONE, EDITED, ANY = "gone", "edited", "any"
_NUMBER = "(account_id, virtual_number_id)"
_NOTES = f"create table notes (account_id bigint, virtual_number_id bigint, constraint of_number foreign key {_NUMBER}"
_FILL = "insert into notes select account_id, virtual_number_id from virtual_numbers"
_REFUSE = """create function guard() returns trigger language plpgsql as $$
begin raise exception 'the comment is %%', new.comment; end $$"""

FORBIDDEN = {
    "foreign key": (
        GONE,
        [f"{_NOTES} references virtual_numbers {_NUMBER})", _FILL],
        "the foreign key of_number of table public.notes forbids",
        "ON DELETE CASCADE or SET NULL",
        "drop table notes",
    ),
    "restricting key": (
        GONE,
        [f"{_NOTES} references virtual_numbers {_NUMBER} on delete restrict)", _FILL],
        "the foreign key of_number of table public.notes forbids",
        "ON DELETE CASCADE or SET NULL",
        "drop table notes",
    ),
    "deferred key": (
        GONE,
        [f"{_NOTES} references virtual_numbers {_NUMBER} deferrable initially deferred)", _FILL],
        "the foreign key of_number of table public.notes forbids",
        "ON DELETE CASCADE or SET NULL",
        "drop table notes",
    ),
    "key of ours": (
        EDITED,
        [
            "create table words (word text primary key)",
            "insert into words select distinct comment from virtual_numbers where comment is not null",
            "alter table virtual_numbers add constraint known_words foreign key (comment) references words",
        ],
        "the foreign key known_words of table public.virtual_numbers forbids",
        "drop the key",
        "alter table virtual_numbers drop constraint known_words",
    ),
    "unique": (
        EDITED,
        ["create unique index one_comment on virtual_numbers (account_id, comment) where comment like 'secret%%'"],
        "the unique constraint one_comment of table public.virtual_numbers forbids",
        "drop the constraint",
        "drop index one_comment",
    ),
    "check": (
        EDITED,
        ["alter table virtual_numbers add constraint no_secrets check (comment not like 'secret%%')"],
        "the check constraint no_secrets of table public.virtual_numbers forbids",
        "relax the constraint, or drop it",
        "alter table virtual_numbers drop constraint no_secrets",
    ),
    "check of the closed": (
        ANY,
        ["alter table virtual_numbers_closed add constraint nothing_ends check (valid_to is null)"],
        "the check constraint nothing_ends of table public.virtual_numbers_closed forbids",
        "relax the constraint, or drop it",
        "alter table virtual_numbers_closed drop constraint nothing_ends",
    ),
    "not null": (
        ANY,
        [
            "alter table virtual_numbers_closed add column mine text not null",
        ],
        "the not-null constraint of column mine of table public.virtual_numbers_closed forbids",
        "give it a default",
        "alter table virtual_numbers_closed drop column mine",
    ),
    "trigger": (
        EDITED,
        [
            _REFUSE,
            "create trigger guard before update on virtual_numbers for each row"
            " when (new.comment like 'secret%%') execute function guard()",
        ],
        "the function guard() refuses",
        "have the trigger let the row pass",
        "drop trigger guard on virtual_numbers",
    ),
}
FORBIDDEN_IN_SQLITE = {
    "unique": (
        EDITED,
        ["create unique index one_comment on virtual_numbers (account_id, comment) where comment like 'secret%%'"],
        "the UNIQUE constraint of virtual_numbers.account_id, virtual_numbers.comment forbids",
        "drop the constraint",
        "drop index one_comment",
    ),
    "check": (
        EDITED,
        ["alter table virtual_numbers add column mine text constraint no_secrets check (comment not like 'secret%%')"],
        "the CHECK constraint of no_secrets forbids",
        "relax the constraint, or drop it",
        "alter table virtual_numbers drop column mine",
    ),
    "trigger": (
        EDITED,
        [
            "create trigger guard before update on virtual_numbers when new.comment like 'secret%%'"
            " begin select raise(abort, 'not on my watch'); end"
        ],
        "a trigger refuses what the sync writes: not on my watch",
        "have the trigger let the row pass",
        "drop trigger guard",
    ),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
@pytest.mark.fault("G04")
def test_a_constraint_that_forbids_is_named(kind: str, warehouse: Engine, database: str) -> None:
    """A user's own constraint forbids a change: the account fails with 78, its line names constraint, table and remedy,
    never a row; the account is not published, others are; without the constraint the next sync succeeds."""
    cases = FORBIDDEN if database == "postgresql" else FORBIDDEN_IN_SQLITE
    if kind not in cases:
        pytest.skip("SQLite has no such constraint, follows it on request only, or says no name")
    when, forbid, says, remedy, undo = cases[kind]
    rig = _rig(warehouse, customers=2)
    rig.sync()
    _do(rig, *forbid)
    account_id = rig.world.customer_ids[0]
    for number_id in rig.world.numbers(account_id)[:2]:
        if when == GONE:
            rig.world.remove(account_id, number_id)
        else:
            rig.world.edit(account_id, number_id, comment="secret words")
    rig.world.edit(rig.world.customer_ids[1], rig.world.numbers(rig.world.customer_ids[1])[0], name="harmless")
    before = rig.rows("select * from virtual_numbers where account_id = :a order by 1, 2", a=account_id)
    others_fine = "_closed" not in says
    failed, other = rig.sync().accounts
    assert failed.exit_code == 78, failed.error
    assert says in str(failed.error)
    assert remedy in str(failed.error)
    assert "secret words" not in str(failed.error)
    assert "backup" not in str(failed.error)
    assert (other.status.value == "succeeded") is others_fine
    assert rig.rows("select * from virtual_numbers where account_id = :a order by 1, 2", a=account_id) == before
    _do(rig, undo)
    assert rig.sync().exit_code == 0
    for each in rig.world.customer_ids:
        wanted = oracle.expected(rig.world.truth(each))
        assert not oracle.differences(oracle.current(warehouse, each), wanted)


@pytest.mark.fault("G04")
def test_vnsync_s_own_constraints_are_no_setting(warehouse: Engine, database: str) -> None:
    """A row that violates one of vnsync's own constraints shows tampering: exit 70, not 78."""
    rig = _rig(warehouse)
    rig.sync()
    number_id = rig.world.numbers(rig.only)[0]
    rig.world.edit(rig.only, number_id, comment="mine")
    future = "9000-01-01 00:00:00.000000" + ("+00" if database == "postgresql" else "")
    _do(rig, f"update virtual_numbers set valid_from = '{future}' where virtual_number_id = {number_id}")
    (failed,) = rig.sync().accounts
    assert failed.exit_code == 70, failed.error
    assert "ck_virtual_numbers_closed_period" in str(failed.error)
