"""Connection cache: which connections are reused for the next account, and that no state goes along with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from etl.load import staging
from etl.sandbox.world import CustomerPlan, World
from etl.store import schema
from etl.store.connections import ConnectionCache
from etl.store.engine import open_warehouse
from tests.support.rig import Rig

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def warehouse(warehouse_url: str) -> Engine:
    """A migrated, empty warehouse, whose connections are closed as the program's are."""
    return open_warehouse(warehouse_url)


@pytest.fixture
def opened(warehouse: Engine) -> list[object]:
    """The connections that were opened."""
    found: list[object] = []
    event.listen(warehouse, "connect", lambda connection, _record: found.append(connection))
    return found


@pytest.fixture
def connection_cache(warehouse: Engine) -> Iterator[ConnectionCache]:
    """A cache that closes its connections at the end."""
    with closing(ConnectionCache(warehouse)) as one:
        yield one


def _use(connection: Connection) -> None:
    """Write a row that references no other."""
    row = {"account_id": 1, "virtual_number_id": 1, "digest": "d", "valid_from": MOMENT, "erased_at": MOMENT}
    connection.execute(insert(schema.erasures), row)


def test_postgresql_s_connection_goes_on_and_sqlite_s_does_not(
    connection_cache: ConnectionCache, warehouse: Engine, opened: list[object], database: str
) -> None:
    """Three accounts use one connection to PostgreSQL, and three of SQLite; all are closed in the end."""
    closed: list[object] = []
    event.listen(warehouse, "close", lambda connection, _record: closed.append(connection))
    for _ in range(3):
        with connection_cache.borrow() as connection:
            _use(connection)
    connection_cache.close()
    assert len(opened) == {"postgresql": 1, "sqlite": 3}[database]
    assert closed == opened


def test_what_was_not_committed_is_not_the_next_one_s(connection_cache: ConnectionCache) -> None:
    """The next account begins outside of a transaction, and sees none of the uncommitted work of the last one."""
    with connection_cache.borrow() as connection:
        connection.execute(text("create temporary table left_undone (n integer)"))
        _use(connection)
    with connection_cache.borrow() as connection:
        assert not connection.in_transaction()
        assert connection.scalar(select(func.count()).select_from(schema.erasures)) == 0
        with pytest.raises(DBAPIError, match="left_undone"):
            connection.execute(text("select n from left_undone"))


def test_after_an_error_the_next_one_gets_another(connection_cache: ConnectionCache, opened: list[object]) -> None:
    """A connection that failed is in an unknown state, so it is closed."""
    with pytest.raises(DBAPIError), connection_cache.borrow() as connection:
        connection.execute(text("select no_such_column from sync_runs"))
    assert connection.closed
    with connection_cache.borrow() as connection:
        _use(connection)
    assert len(opened) == 2


def test_one_that_was_given_up_is_not_kept(connection_cache: ConnectionCache) -> None:
    """A connection invalidated after a late answer to a commit is not reused, although there was no error."""
    with connection_cache.borrow() as first:
        _use(first)
        first.invalidate()
    with connection_cache.borrow() as second:
        assert second is not first
        _use(second)


def test_one_that_this_side_closed_is_not_kept(connection_cache: ConnectionCache) -> None:
    """A connection closed by this side, as on a cancelled statement: the next account gets another, not an error."""
    with connection_cache.borrow() as first:
        _use(first)
        driver = first.connection.driver_connection
    assert driver is not None
    driver.close()
    with connection_cache.borrow() as second:
        assert second.connection.driver_connection is not driver
        _use(second)


@pytest.mark.parametrize("lent", [True, False])
def test_one_that_the_server_ended_meanwhile_is_not_kept(
    connection_cache: ConnectionCache, warehouse: Engine, opened: list[object], database: str, lent: bool
) -> None:
    """The server ends the session while an account uses it, or between two accounts: the next one gets another."""
    if database == "sqlite":
        pytest.skip("a file has no server")
    with connection_cache.borrow() as connection:
        pid = connection.scalar(text("select pg_backend_pid()"))
        if lent:
            _end(warehouse, pid)
    if not lent:
        _end(warehouse, pid)
    with connection_cache.borrow() as connection:
        _use(connection)
    assert len(opened) == 3


def _end(warehouse: Engine, pid: int) -> None:
    with warehouse.connect() as other:
        assert other.scalar(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})


def test_a_run_of_one_lane_needs_two_connections_at_once(warehouse: Engine, database: str) -> None:
    """One for its lock and one for its work: the cached connection is closed before the run's end is written."""
    if database == "sqlite":
        pytest.skip("a file has no such limit")
    now: set[object] = set()
    most = 0

    def count(connection: object, _record: object) -> None:
        nonlocal most
        now.add(connection)
        most = max(most, len(now))

    event.listen(warehouse, "connect", count)
    event.listen(warehouse, "close", lambda connection, _record: now.discard(connection))
    Rig(World(seed=1, customers=[CustomerPlan(numbers=3)] * 2, role="agent"), warehouse).sync()
    assert (most, len(now)) == (2, 0)


def test_staged_rows_go_with_their_account(connection_cache: ConnectionCache) -> None:
    """After a commit and after a rollback, the next account on the same connection finds the staging tables empty."""
    rows = {"sites": [(1, "a.example", 0)]}
    for ended in ("commit", "rollback"):
        with connection_cache.borrow() as connection:
            stage = staging.create(connection)
            assert connection.execute(stage.tables["sites"].select()).all() == []
            staging.put(connection, rows)
            staging.put_gone(connection, [7])
            getattr(connection, ended)()
    with connection_cache.borrow() as connection:
        stage = staging.create(connection)
        for table in (stage.tables["sites"], stage.gone):
            assert connection.execute(table.select()).all() == []


def test_a_run_does_not_connect_for_every_account(warehouse: Engine, opened: list[object], database: str) -> None:
    """In PostgreSQL a run of thirty accounts, some of them changed, opens fewer than fifteen connections."""
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
