"""A plan: exactly the effects of the next sync, without writing anything."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.pool import Pool

from etl.cli.main import run
from etl.domain.events import Notice
from etl.domain.runs import RunResult
from etl.extract.credentials import PermanentKey
from etl.extract.jsonrpc import open_api
from etl.sandbox import faults
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import open_warehouse
from etl.sync.plan import Plan, plan
from etl.sync.run import SyncOptions
from tests.support.rig import TOKEN, URL, Rig
from tests.support.running import Run, Source

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def warehouse(warehouse_url: str) -> Engine:
    """A migrated, empty warehouse of which no connection is kept: the bytes of all its files are compared."""
    return open_warehouse(warehouse_url)


def _rig(engine: Engine, customers: int = 1, numbers: int = 120, **more: Any) -> Rig:
    plans = [CustomerPlan(numbers=numbers) for _ in range(customers)]
    return Rig(World(seed=5, customers=plans, role="customer" if customers == 1 else "agent", **more), engine)


def _plan(rig: Rig, **options: Any) -> Plan:
    with open_api(
        URL,
        PermanentKey(TOKEN),
        clock=rig.clock,
        random=random.Random(3),
        report=rig.events.append,
        transport=SandboxTransport(rig.api),
    ) as api:
        return plan(api, rig.engine, options=SyncOptions(**options), clock=rig.clock, report=rig.events.append)


def _everything(engine: Engine) -> dict[str, list[Any]]:
    """All rows of all tables, without temporary tables of other connections."""
    names = (
        "select tablename from pg_tables where schemaname = 'public'"
        if engine.name == "postgresql"
        else "select name from sqlite_master where type = 'table'"
    )
    with engine.connect() as connection:
        tables = sorted(connection.scalars(text(names)))
        return {n: sorted(map(str, connection.execute(text(f"select * from {n}")))) for n in tables}


def _bytes(engine: Engine) -> dict[str, str]:
    """Digests of a SQLite database's files; in PostgreSQL the sizes of its tables, which dead rows would increase."""
    if engine.name == "sqlite":
        path = Path(str(engine.url.database))
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in path.parent.glob(f"{path.name}*")}
    sizes = "select relname, pg_relation_size(oid)::text from pg_class where relnamespace = 'public'::regnamespace"
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(text(sizes))}


def _foretold(planned: Plan, result: RunResult) -> None:
    """Check that the sync did what the plan said, table by table."""
    assert planned.exit_code == result.exit_code
    for one, account in zip(planned.accounts, result.accounts, strict=True):
        assert one.result.status == account.status
        assert (one.result.listed_numbers, one.result.suspects) == (account.listed_numbers, account.suspects)
        assert one.requests == account.requests
        if account.observed_at:
            assert {n: (t.opened, t.closed) for n, t in one.tables.items()} == {
                n: (c.opened, c.closed) for n, c in account.changes.items()
            }


@pytest.mark.parametrize("customers", [1, 3])
def test_sync_does_what_the_plan_said_and_the_plan_nothing(warehouse: Engine, customers: int) -> None:
    """First load, days of change, a quiet day: the plan has the sync's figures; rows and bytes do not change."""
    rig = _rig(warehouse, customers)
    for day in range(4):
        before = _everything(warehouse), _bytes(warehouse)
        planned = _plan(rig, page_limit=50)
        assert (_everything(warehouse), _bytes(warehouse)) == before
        assert bool(sum(t.opened for p in planned.accounts for t in p.tables.values())) == (day < 3)
        _foretold(planned, rig.sync(page_limit=50))
        if day < 2:
            rig.world.pass_day(share=0.1)


def test_added_changed_and_removed_are_told_apart(warehouse: Engine) -> None:
    """An edited number counts as changed, a returned one as removed, a new one as added."""
    rig = _rig(warehouse)
    rig.sync()
    first, second, *_ = rig.world.numbers(rig.only)
    rig.world.edit(rig.only, first, comment="another")
    rig.world.remove(rig.only, second)
    rig.world.add(rig.only, 3)
    (planned,) = _plan(rig).accounts
    table = planned.tables["virtual_numbers"]
    assert (table.added, table.changed, table.removed) == (3, 1, 1)


def test_older_edition_would_lose_nothing(warehouse: Engine) -> None:
    """In a plan, too, fields that an edition does not report are filled from the warehouse's rows."""
    rig = _rig(warehouse)
    rig.sync()
    rig.world.edition = "older"
    (planned,) = _plan(rig).accounts
    assert (planned.result.rows_opened, planned.result.rows_closed) == (0, 0)


def test_guard_would_hold_it(warehouse: Engine) -> None:
    """A plan of a held account shows the closes and how to approve them; with the approval it is planned as usual."""
    rig = _rig(warehouse, 2)
    rig.sync()
    victim = rig.world.customer_ids[0]
    for number_id in rig.world.numbers(victim)[:90]:
        rig.world.remove(victim, number_id)
    planned = _plan(rig)
    held = planned.accounts[0]
    assert (planned.exit_code, held.result.status) == (3, "held")
    assert held.tables["virtual_numbers"].removed == 90
    assert f"--approve-close {victim}" in str(held.result.error)
    approved = _plan(rig, approve_close=frozenset({victim}))
    assert approved.exit_code == 0
    _foretold(approved, rig.sync(approve_close=frozenset({victim})))


def test_account_that_would_fail_leaves_the_others_planned(warehouse: Engine) -> None:
    """One customer is refused: its reason is shown, the other has its figures, exit 3."""
    rig = _rig(warehouse, 2)
    victim = rig.world.customer_ids[0]
    rig.api.faults.add(
        faults.error("forbidden"), times=None, when=lambda r: r.params.get("user_id") in rig.world.user_ids(victim)
    )
    planned = _plan(rig)
    assert planned.exit_code == 3
    assert [p.result.status for p in planned.accounts] == ["failed", "succeeded"]
    assert planned.accounts[1].tables["virtual_numbers"].opened == 120


def test_plan_waits_for_no_writer_and_hinders_none(warehouse: Engine) -> None:
    """A plan is made while another transaction holds the tables; afterwards nothing is locked or claimed."""
    rig = _rig(warehouse)
    rig.sync()
    rig.world.pass_day(share=0.1)
    with warehouse.connect() as connection:
        connection = connection.execution_options(sqlite_begin="immediate")
        with connection.begin():
            connection.execute(text("update accounts set account_name = account_name"))
            assert _plan(rig).exit_code == 0
    assert rig.rows("select * from account_claims") == []
    assert len(rig.rows("select * from sync_runs")) == 1
    assert rig.sync().exit_code == 0


def test_command_shows_the_plan_and_makes_no_file(customer: Source, clean: Path, vnsync: Run) -> None:
    """A missing SQLite file is not created; the text and the JSON agree."""
    shown = vnsync("plan", *customer.options, "--details")
    assert shown.code == 0, shown.err
    assert "There is no warehouse yet: a sync creates it." in shown.out
    told = vnsync("plan", *customer.options, "--output", "json").json
    assert told["new_warehouse"] is True
    assert told["accounts"][0]["tables"]["virtual_numbers"] == {
        "opened": 25,
        "closed": 0,
        "added": 25,
        "changed": 0,
        "removed": 0,
    }
    assert {p.name for p in clean.iterdir()} == {"token"}
    assert vnsync("sync", *customer.options).code == 0
    assert "Nothing would change." in vnsync("plan", *customer.options).out


def test_command_closes_each_connection(customer: Source, vnsync: Run, open_connections: list[object]) -> None:
    """The command closes every connection, also that to the empty warehouse in memory."""
    assert vnsync("plan", *customer.options).code == 0
    assert open_connections == []


@pytest.fixture
def open_connections() -> Iterator[list[object]]:
    """Connections that pools of SQLAlchemy opened and did not close."""
    found: list[object] = []

    def opened(connection: object, _record: object) -> None:
        found.append(connection)

    def closed(connection: object, _record: object) -> None:
        found.remove(connection)

    event.listen(Pool, "connect", opened)
    event.listen(Pool, "close", closed)
    yield found
    event.remove(Pool, "connect", opened)
    event.remove(Pool, "close", closed)


def test_command_on_an_empty_database_writes_nothing(
    customer: Source, empty_url: str, vnsync: Run, clean: Path
) -> None:
    """A plan creates no tables in an empty database."""
    done = vnsync("plan", *customer.options, "--database-url", empty_url)
    assert done.code == 0, done.err
    assert "There is no warehouse yet" in done.out
    current = vnsync("db", "current", "--database-url", empty_url, "--output", "json").json
    assert current["current"] is None


def test_held_plan_ends_as_the_sync_would(customer: Source, clean: Path, vnsync: Run) -> None:
    """A held plan ends with 3 and one line that says how to approve."""
    assert vnsync("sync", *customer.options).code == 0
    for number_id in customer.world.numbers(customer.world.customer_ids[0]):
        customer.world.remove(customer.world.customer_ids[0], number_id)
    done = vnsync("plan", *customer.options, "--log-level", "error")
    assert done.code == 3
    assert "would be held" in done.error
    assert "--approve-close" in done.error


def test_plan_needs_a_token(clean: Path) -> None:
    """Without a key no request is sent: exit 78, a configuration error."""
    assert run(["plan"]) == 78


def test_a_customer_that_vanished_is_in_the_plan_as_in_the_sync(warehouse: Engine) -> None:
    """The run that records the unreachable customer has the plan's exit code; later runs report it as a notice only."""
    rig = _rig(warehouse, customers=3, numbers=20)
    assert rig.sync().exit_code == 0
    vanished = rig.world.customer_ids[0]
    rig.world.remove_customer(vanished)
    planned = _plan(rig)
    result = rig.sync()
    assert planned.exit_code == result.exit_code == 3
    assert [p.result.account_id for p in planned.accounts] == [a.account_id for a in result.accounts]
    assert planned.accounts[-1].result.error == result.accounts[-1].error
    assert _plan(rig).exit_code == rig.sync().exit_code == 0


def test_the_reason_of_a_run_is_that_of_its_code(warehouse: Engine) -> None:
    """One customer is held and another refused: both the code and the reason are those of the refused one."""
    rig = _rig(warehouse, customers=2, numbers=40)
    assert rig.sync().exit_code == 0
    held, refused = rig.world.customer_ids
    for number in list(rig.world.numbers(held))[:35]:
        rig.world.remove(held, number)
    rig.world.block(refused, "forbidden")
    result = rig.sync()
    assert result.exit_code == 77
    assert f"account {refused}: " in str(result.error)


def test_approval_of_an_account_out_of_reach_is_told(warehouse: Engine) -> None:
    """An approval for an unknown account is reported, as it may be mistyped."""
    rig = _rig(warehouse)
    _plan(rig, approve_close=frozenset({77}))
    told = [e for e in rig.events if isinstance(e, Notice) and e.account_id == 77]
    assert [e.message for e in told] == ["this token cannot read it: there is nothing to approve"]
