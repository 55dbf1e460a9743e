"""One connection for one account after the other: what is kept, what is not, and that nothing goes along with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

from etl.load import staging
from etl.sandbox.world import CustomerPlan, World
from etl.store.lending import Lender
from tests.rig import Rig


@pytest.fixture
def opened(warehouse: Engine) -> list[object]:
    """The connections that were opened."""
    found: list[object] = []
    event.listen(warehouse, "connect", lambda connection, _record: found.append(connection))
    return found


@pytest.fixture
def lender(warehouse: Engine) -> Iterator[Lender]:
    """A lender that closes what it kept."""
    with closing(Lender(warehouse)) as one:
        yield one


def _use(connection: Connection) -> None:
    connection.execute(text("insert into account_claims (account_id, run_id) select 1, run_id from sync_runs"))


def test_postgresql_s_connection_goes_on_and_sqlite_s_does_not(
    lender: Lender, warehouse: Engine, opened: list[object], database: str
) -> None:
    """Three accounts take one connection to PostgreSQL, and three of SQLite; all are closed in the end."""
    closed: list[object] = []
    event.listen(warehouse, "close", lambda connection, _record: closed.append(connection))
    for _ in range(3):
        with lender.lend() as connection:
            _use(connection)
    lender.close()
    assert len(opened) == {"postgresql": 1, "sqlite": 3}[database]
    assert closed == opened


def test_what_was_not_committed_is_not_the_next_one_s(lender: Lender) -> None:
    """The next account begins outside of a transaction, and sees nothing of what the last one left undone."""
    with lender.lend() as connection:
        connection.execute(text("create temporary table left_undone (n integer)"))
        _use(connection)
    with lender.lend() as connection:
        assert not connection.in_transaction()
        assert connection.scalar(text("select count(*) from account_claims")) == 0


def test_after_an_error_the_next_one_gets_another(lender: Lender, opened: list[object]) -> None:
    """What became of a connection that failed nobody knows: it is closed."""
    with pytest.raises(DBAPIError), lender.lend() as connection:
        connection.execute(text("select no_such_column from sync_runs"))
    assert connection.closed
    with lender.lend() as connection:
        _use(connection)
    assert len(opened) == 2


def test_one_that_was_given_up_is_not_kept(lender: Lender, opened: list[object]) -> None:
    """A commit that was answered late may leave a connection that is none any more, and no error."""
    with lender.lend() as connection:
        _use(connection)
        connection.invalidate()
    with lender.lend() as connection:
        _use(connection)
    assert len(opened) == 2


def test_one_that_the_server_ended_meanwhile_is_not_kept(
    lender: Lender, warehouse: Engine, opened: list[object], database: str
) -> None:
    """The server ends the session while an account still holds it: the next one gets another."""
    if database == "sqlite":
        pytest.skip("a file has no server")
    with lender.lend() as connection:
        pid = connection.scalar(text("select pg_backend_pid()"))
        with warehouse.connect() as other:
            other.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with lender.lend() as connection:
        _use(connection)
    assert len(opened) == 3


def test_staged_rows_go_with_their_account(lender: Lender) -> None:
    """Whether it was committed or not: the next account on the same connection finds the staging tables empty."""
    rows = {"sites": [(1, "a.example", 0)]}
    for ended in ("commit", "rollback"):
        with lender.lend() as connection:
            stage = staging.create(connection)
            assert connection.execute(stage.tables["sites"].select()).all() == []
            staging.put(connection, rows)
            staging.put_gone(connection, [7])
            getattr(connection, ended)()
    with lender.lend() as connection:
        stage = staging.create(connection)
        for table in (stage.tables["sites"], stage.gone):
            assert connection.execute(table.select()).all() == []


def test_a_run_does_not_connect_for_every_account(warehouse: Engine, opened: list[object], database: str) -> None:
    """In PostgreSQL a run of thirty accounts, changed ones among them, takes some connections, not thirty."""
    if database == "sqlite":
        pytest.skip("opened anew for each")
    world = World(seed=1, customers=[CustomerPlan(numbers=3)] * 30, role="agent")
    rig = Rig(world, warehouse)
    for _ in range(2):
        before = len(opened)
        assert len(rig.sync().accounts) == 30
        assert len(opened) - before < 15
        for account_id in world.customer_ids[::2]:
            world.edit(account_id, world.numbers(account_id)[0], comment="moved")
