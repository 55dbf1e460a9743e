"""Bulk inserts into SQLite: statements of a hundred rows, without a journal of each statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from etl.load import bulk


@pytest.fixture
def driver() -> Iterator[sqlite3.Connection]:
    """A connection to an empty database in memory, with a table `t`, which refuses equal values."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("create table t (a integer primary key, b text, c integer)")
        yield connection


def _insert(driver: sqlite3.Connection, count: int) -> None:
    rows = ((number, -number) for number in range(count))
    bulk.insert(driver, "t (a, c, b)", "(?, ?, 'same')", rows, count)


def _rows(driver: sqlite3.Connection) -> list[tuple[int, str, int]]:
    return driver.execute("select a, b, c from t order by a").fetchall()


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_every_row_is_inserted_once(driver: sqlite3.Connection, count: int) -> None:
    """Full statements and the rest together hold each row once, with the constants of VALUES."""
    _insert(driver, count)
    assert _rows(driver) == [(number, "same", -number) for number in range(count)]


def test_conflict_undoes_nothing_by_itself(driver: sqlite3.Connection) -> None:
    """After a conflict the rows before it are still there: SQLite kept no copy of the pages to undo the statement."""
    driver.execute("insert into t (a) values (150)")
    with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: t\.a"):
        _insert(driver, 200)
    assert len(_rows(driver)) == 151


def test_triggers_keep_their_own_conflict_clause(driver: sqlite3.Connection) -> None:
    """A trigger of others that ignores a conflict of its own still does, though ours would rule its statements."""
    driver.executescript("""
        create table seen (b text primary key);
        create trigger note after insert on t begin insert or ignore into seen values (new.b); end;
    """)
    _insert(driver, 150)
    assert len(_rows(driver)) == 150
    assert driver.execute("select b from seen").fetchall() == [("same",)]
