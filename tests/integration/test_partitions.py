"""Current and closed tables partitioned by account in PostgreSQL, by the SQL file that `docs` gives to operators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text

from etl.domain.tables import TABLES
from etl.erasure.warehouse import erase_number
from etl.sandbox.world import CustomerPlan, World
from etl.snapshot.write import write_snapshot
from etl.store import inspection, migrations, schema, schema_check
from etl.store.engine import open_warehouse
from etl.verify.warehouse import verify_warehouse
from tests.support import oracle
from tests.support.checkout import ROOT
from tests.support.rig import Rig

SQL = ROOT / "docs" / "postgresql-partitions.sql"
PAGE = SQL.with_suffix(".md")
PARTED = [t.name for t in (*schema.current.values(), *schema.closed.values())]
WHEN = ("before the first load", "with rows")
MANNERS = {"hash": {"vnsync.partitions": "3"}, "list": {"vnsync.partition_by": "list"}}


def _partition(engine: Engine, manner: str) -> None:
    with engine.begin() as connection:
        for name, value in MANNERS[manner].items():
            connection.execute(text("select set_config(:name, :value, true)"), {"name": name, "value": value})
        connection.exec_driver_sql(SQL.read_text().replace("%", "%%"))


def _rig(engine: Engine) -> Rig:
    plans = [CustomerPlan(numbers=60), CustomerPlan(numbers=30), CustomerPlan(numbers=10)]
    return Rig(World(seed=9, customers=plans, role="agent"), engine)


@pytest.fixture
def parted(new_postgresql: Callable[..., str], postgresql_template: str) -> Engine:
    """A warehouse of PostgreSQL, to be partitioned."""
    return open_warehouse(new_postgresql(postgresql_template))


@pytest.fixture
def plain(new_postgresql: Callable[..., str], postgresql_template: str) -> Engine:
    """A warehouse that is not partitioned, for comparison."""
    return open_warehouse(new_postgresql(postgresql_template))


def _all_rows(rig: Rig) -> dict[str, list[str]]:
    """Every row of data, history and record, as text."""
    names = [
        *PARTED,
        *(f"{t.name}_history" for t in TABLES),
        "number_assignments",
        "number_campaign_periods",
        "changes",
    ]
    records = ("accounts", "account_syncs", "chain_sections", "source_drift", "first_reported", "listing_windows")
    return {name: sorted(map(str, rig.rows(f"select * from {name}"))) for name in (*names, *records)}


def _written(engine: Engine, folder: Path) -> dict[str, bytes]:
    """The files of a snapshot, by path."""
    with engine.connect() as connection:
        last = connection.scalar(select(func.max(schema.account_syncs.c.observed_at)))
    write_snapshot(engine, last, folder, ("ndjson", "csv"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _kinds(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        asked = text(
            "select relkind from pg_class where relname = any(:names) and relnamespace = 'public'::regnamespace"
        )
        return set(connection.scalars(asked, {"names": PARTED}))


@pytest.mark.parametrize(
    ("manner", "when"),
    [
        pytest.param(m, w, marks=[] if m == "list" and w == "with rows" else pytest.mark.soak)
        for m in MANNERS
        for w in WHEN
    ],
)
@pytest.mark.fault("G03")
def test_partitioned_by_account(manner: str, when: str, parted: Engine, plain: Engine, tmp_path: Path) -> None:
    """Through loads, a quiet sync, changes, a new customer and an erasure, a partitioned warehouse equals a plain one
    in every row and head; verify, doctor's inspection and a snapshot agree."""
    rigs = _rig(parted), _rig(plain)
    one, other = rigs
    if when == "before the first load":
        _partition(parted, manner)
    for day in range(4):
        if day == 2:
            for rig in rigs:
                rig.world.add_customer(CustomerPlan(numbers=20))
        for rig in rigs:
            assert rig.sync().exit_code == 0
        if day == 0 and when == "with rows":
            _partition(parted, manner)
        assert _all_rows(one) == _all_rows(other)
        if day:
            for rig in rigs:
                rig.world.pass_day(share=0.1)
    assert (_kinds(parted), _kinds(plain)) == ({"p"}, {"r"})
    assert verify_warehouse(parted, [], lambda _: None).problems == ()
    assert inspection.inspect(parted).problems == ()
    assert schema_check.check(parted) == []
    assert not migrations.upgrade(parted)
    assert oracle.broken_invariants(parted) == []
    assert _written(parted, tmp_path / "parted") == _written(plain, tmp_path / "plain")
    account_id, *_ = one.world.customer_ids
    for rig in rigs:
        erase_number(rig.engine, account_id, one.world.numbers(account_id)[0], now=rig.clock.now(), reason="asked")
    assert _all_rows(one) == _all_rows(other)
    assert verify_warehouse(parted, [], lambda _: None).problems == ()


def test_what_hung_on_the_tables_is_there_afterwards(parted: Engine) -> None:
    """Grants, comments, triggers, a user's column, view, index and foreign key survive the partitioning."""
    rig = _rig(parted)
    rig.sync()
    with parted.begin() as connection:
        connection.exec_driver_sql(_GUESTS)
    before = _guests(rig)
    assert all(before.values())
    _partition(parted, "hash")
    assert _guests(rig) == before
    rig.world.pass_day(share=0.1)
    assert rig.sync().exit_code == 0
    assert rig.rows("select count(*) from mine_noted") != [(0,)]


_GUESTS = """
do $$ begin if not exists (select from pg_roles where rolname = 'visitor') then create role visitor; end if; end $$;
grant select on virtual_numbers, changes to visitor;
comment on table virtual_numbers is 'numbers';
comment on column virtual_numbers.status is 'a status';
comment on view changes is 'all changes';
alter table virtual_numbers add column mine text;
update virtual_numbers set mine = 'kept';
create index mine_by_status on virtual_numbers (status);
create view mine_noted as select virtual_number_id, mine from virtual_numbers where mine is not null;
create table notes (account_id bigint, virtual_number_id bigint, constraint of_number
  foreign key (account_id, virtual_number_id) references virtual_numbers on delete cascade);
insert into notes select account_id, virtual_number_id from virtual_numbers;
create function seen() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger mine_seen after update on virtual_numbers for each row execute function seen();
"""


def _guests(rig: Rig) -> dict[str, list[Any]]:
    asked = {
        "grants": "select table_name, privilege_type from information_schema.role_table_grants"
        " where grantee = 'visitor' order by 1, 2",
        "comment": "select obj_description('virtual_numbers'::regclass), obj_description('changes'::regclass),"
        " col_description('virtual_numbers'::regclass, (select attnum from pg_attribute"
        " where attrelid = 'virtual_numbers'::regclass and attname = 'status'))",
        "rows": "select account_id, virtual_number_id, mine, status from virtual_numbers order by 1, 2",
        "view": "select * from mine_noted order by 1",
        "notes": "select * from notes order by 1, 2",
        "key": "select conname, confrelid::regclass::text from pg_constraint where conname = 'of_number'",
        "index": "select indexname from pg_indexes where indexname = 'mine_by_status'",
        "trigger": "select tgname from pg_trigger where tgrelid = 'virtual_numbers'::regclass and tgname = 'mine_seen'",
    }
    return {name: rig.rows(statement) for name, statement in asked.items()}


def test_an_account_gets_partitions_of_its_own(parted: Engine) -> None:
    """The page's statements move an account out of the default partition; the next sync and verify succeed."""
    rig = _rig(parted)
    _partition(parted, "list")
    rig.sync()
    account_id = rig.world.customer_ids[0]
    shown = PAGE.read_text().split("begin;\n")[1].split("commit;")[0]
    before = _all_rows(rig)
    with parted.begin() as connection:
        for name in PARTED:
            told = shown.replace("virtual_numbers", name).replace("51", str(account_id))
            connection.exec_driver_sql(told)
    assert _all_rows(rig) == before
    assert rig.rows(f"select count(*) from virtual_numbers_a{account_id}") == [(60,)]
    rig.world.pass_day(share=0.1)
    assert rig.sync().exit_code == 0
    assert verify_warehouse(parted, [], lambda _: None).problems == ()


def test_it_is_all_or_nothing(parted: Engine) -> None:
    """If a dependent object cannot be recreated, such as a materialized view, the error names it; nothing changes."""
    rig = _rig(parted)
    rig.sync()
    with parted.begin() as connection:
        connection.exec_driver_sql("create materialized view mine as select * from virtual_numbers")
    before = _all_rows(rig)
    with pytest.raises(Exception, match="other objects depend"):
        _partition(parted, "hash")
    assert _kinds(parted) == {"r"}
    assert _all_rows(rig) == before
    assert rig.sync().exit_code == 0
