"""Pool of SQLite's connections: kept during a run, one at a time, and never with traces of its last user."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text

from etl.store.pools import KeepingPool, keeping


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine with the pool."""
    return create_engine(f"sqlite:///{tmp_path / 'w.db'}", poolclass=KeepingPool)


class _Counts:
    """Counts of connections that were opened and closed."""

    def __init__(self, engine: Engine) -> None:
        self.opened = self.closed = 0
        event.listen(engine, "connect", lambda *_: self._count("opened"))
        event.listen(engine, "close", lambda *_: self._count("closed"))

    def _count(self, what: str) -> None:
        setattr(self, what, getattr(self, what) + 1)


def _use(engine: Engine, *statements: str) -> None:
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_outside_of_a_run_each_connection_is_closed(engine: Engine) -> None:
    """Three users, three connections, none of them left open."""
    counts = _Counts(engine)
    for _ in range(3):
        _use(engine, "select 1")
    assert (counts.opened, counts.closed) == (3, 3)


def test_during_a_run_one_is_used_in_turn(engine: Engine) -> None:
    """Three users, one connection, closed when the run ends, also by an error."""
    counts = _Counts(engine)

    def run() -> None:
        with keeping(engine):
            for _ in range(3):
                _use(engine, "select 1")
            assert (counts.opened, counts.closed) == (1, 0)
            raise LookupError

    with pytest.raises(LookupError):
        run()
    assert (counts.opened, counts.closed) == (1, 1)


def test_two_at_once_have_their_own(engine: Engine) -> None:
    """Of connections that are used at the same time one is kept."""
    counts = _Counts(engine)
    with keeping(engine):
        with engine.connect() as one, engine.connect() as other:
            assert one.connection.dbapi_connection is not other.connection.dbapi_connection
        assert (counts.opened, counts.closed) == (2, 1)
    assert counts.closed == 2


def test_what_was_not_committed_is_rolled_back(engine: Engine) -> None:
    """The next user finds no transaction."""
    with keeping(engine):
        with engine.begin() as connection:
            connection.execute(text("create table t (a)"))
        _use(engine, "insert into t values (1)")
        with engine.connect() as connection:
            assert connection.scalar(text("select count(*) from t")) == 0


def test_temporary_tables_end_with_their_user(engine: Engine) -> None:
    """A connection with a temporary table is closed: another user would find it."""
    counts = _Counts(engine)
    with keeping(engine):
        for _ in range(2):
            _use(engine, "create temporary table staged (a)")
    assert (counts.opened, counts.closed) == (2, 2)


def test_a_run_within_a_run_keeps_its_own(engine: Engine) -> None:
    """Nested blocks do not take each other's connection."""
    counts = _Counts(engine)
    with keeping(engine):
        _use(engine, "select 1")
        with keeping(engine):
            _use(engine, "select 1")
        assert (counts.opened, counts.closed) == (2, 1)
        _use(engine, "select 1")
    assert (counts.opened, counts.closed) == (2, 2)


def test_a_file_that_was_replaced_is_opened_anew(engine: Engine, tmp_path: Path) -> None:
    """Another file in the same place: the kept connection, to the file that was moved away, is not used again."""
    with keeping(engine):
        with engine.begin() as connection:
            connection.execute(text("create table of_the_first (a)"))
        (tmp_path / "w.db").rename(tmp_path / "aside.db")
        with engine.connect() as connection:
            assert connection.scalar(text("select count(*) from sqlite_master")) == 0


def test_a_transaction_that_did_not_end_ends_with_its_connection(tmp_path: Path) -> None:
    """After a commit that failed the driver may still be in a transaction: such a connection is not kept."""
    engine = create_engine(f"sqlite:///{tmp_path / 'w.db'}", poolclass=KeepingPool, pool_reset_on_return=None)
    counts = _Counts(engine)
    with keeping(engine):
        connection = engine.raw_connection()
        connection.execute("begin")
        connection.close()
        assert (counts.opened, counts.closed) == (1, 1)
