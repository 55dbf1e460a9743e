"""E01: stored values of another type, and rows that the database hides or loses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from etl.domain.verification import Problem
from etl.store import inspection, schema
from etl.store.engine import open_warehouse
from etl.store.types import UtcDateTime
from etl.verify.storage import RELIED_ON
from etl.verify.warehouse import verify_connection, verify_warehouse
from tests.stress.tampering import days

FULL = tuple(table for table in RELIED_ON if table is not schema.account_claims)
"""Tables that have rows after `days`."""
UNCHECKED = "pragma ignore_check_constraints = on"
"""Any writer of a SQLite file can switch its CHECKs off."""


@pytest.fixture
def sqlite(sqlite_warehouse: Engine) -> Iterator[Connection]:
    """A connection to a SQLite warehouse with rows in every table; edits through it are rolled back."""
    days(sqlite_warehouse)
    with sqlite_warehouse.connect() as connection:
        yield connection


@pytest.fixture
def postgresql(postgresql_template: str, new_postgresql: Callable[..., str]) -> Iterator[Connection]:
    """The same on PostgreSQL."""
    engine = open_warehouse(new_postgresql(postgresql_template))
    days(engine)
    with engine.connect() as connection:
        yield connection


def _problems(connection: Connection) -> list[Problem]:
    return list(verify_connection(connection, [], lambda _: None).problems)


@pytest.mark.fault("E01")
def test_sqlite_refuses_values_of_another_type(sqlite: Connection) -> None:
    """A blob in any column of any table is refused; in current rows only in `valid_from`."""
    for table in FULL:
        taken = {c.name for c in table.columns if _is_taken(sqlite, f"update {table.name} set {_blob(c.name)}")}
        assert taken == (set(table.c.keys()) - {"valid_from"} if table.name in schema.current else set()), table.name


def _blob(name: str) -> str:
    return f"{name} = coalesce(cast({name} as blob), x'')"


@pytest.mark.fault("E01")
def test_a_value_of_another_type_is_named(sqlite: Connection) -> None:
    """Each column of each table that is relied on, made a blob in all rows: every row is named, with the column."""
    sqlite.exec_driver_sql(UNCHECKED)
    for table in FULL:
        for column in table.columns:
            savepoint = sqlite.begin_nested()
            edit = (
                f"update {table.name} set {column.name} = cast({column.name} as blob) where {column.name} is not null"
            )
            try:
                rows = sqlite.execute(text(edit)).rowcount
            except IntegrityError:  # a key that is SQLite's own row number
                rows = 0
            named = {
                (p.account_id, p.run_id, p.key)
                for p in _problems(sqlite)
                if p.table == table.name and f"{column.name} is stored as blob, not " in p.what
            }
            assert len(named) == rows, (table.name, column.name)
            savepoint.rollback()


@pytest.mark.fault("E01")
def test_a_blob_time_is_no_way_back(sqlite_warehouse: Engine) -> None:
    """A removed number whose `valid_to` is a blob would be listed at every moment: `verify` names the version."""
    days(sqlite_warehouse)
    heads = [(None, row.chain_digest) for row in _rows(sqlite_warehouse, LAST)]
    with sqlite_warehouse.connect() as connection:
        connection.exec_driver_sql(UNCHECKED)
        connection.exec_driver_sql("update virtual_numbers_closed set valid_to = cast(valid_to as blob)")
        connection.commit()
    verdict = verify_warehouse(sqlite_warehouse, heads, lambda _: None)
    told = {p.what for p in verdict.problems if p.table == "virtual_numbers_closed"}
    assert told == {"valid_to is stored as blob, not text"}


LAST = "select chain_digest, max(observed_at) from account_syncs where status = 'succeeded' group by account_id"


def _rows(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(statement)))


INSTANTS = [(t.name, c.name) for t in FULL for c in t.columns if isinstance(c.type, UtcDateTime)]
UNREADABLE = {
    "sqlite": (
        "'never'",
        "'2026-02-30 00:00:00.000000'",
        "'2026-01-06T06:00:00'",
        "'0000-01-01 00:00:00.000000'",
        "''",
    ),
    "postgresql": ("'infinity'", "'-infinity'", "'0044-03-15 12:00:00+00 BC'", "'20000-01-01 00:00:00+00'"),
}


@pytest.mark.fault("E01")
def test_instants_that_cannot_be_read_are_named(warehouse: Engine, database: str) -> None:
    """Infinite, before the year 1, beyond 9999, on 30 February: `verify` names the table."""
    days(warehouse)
    with warehouse.connect() as connection:
        for place, (table, column) in enumerate(INSTANTS):
            value = UNREADABLE[database][place % len(UNREADABLE[database])]
            savepoint = connection.begin_nested()
            first = f"(select min({column}) from {table})"
            if _is_taken(connection, f"update {table} set {column} = {value} where {column} = {first}"):
                named = {(p.table or "").removesuffix("_closed") for p in _problems(connection)}
                assert table.removesuffix("_closed") in named, (table, column)
            savepoint.rollback()


def _is_taken(connection: Connection, edit: str) -> bool:
    """Whether the database accepts an edit; it refuses a period that ends before it begins."""
    try:
        with connection.begin_nested():
            assert connection.execute(text(edit)).rowcount
    except IntegrityError:
        return False
    return True


@pytest.mark.fault("E01")
def test_row_security_that_hides_rows_is_named(postgresql: Connection) -> None:
    """Policies of a table apply to a role that only reads: `verify` reports them to that role, and not to the owner."""
    for statement in (
        "create role e01_reader",
        "grant select on all tables in schema public to e01_reader",
        "alter table sites_closed enable row level security",
    ):
        postgresql.exec_driver_sql(statement)
    assert _problems(postgresql) == []
    postgresql.exec_driver_sql("set local role e01_reader")
    told = [(p.table, p.what) for p in _problems(postgresql) if "row-level security" in p.what]
    assert told == [("sites_closed", "row-level security applies to this role, and may hide rows from it")]


@pytest.mark.fault("E01")
def test_a_table_that_a_crash_empties_is_named(postgresql: Connection) -> None:
    """An unlogged table is empty after a crash: `verify` and `doctor` name it."""
    postgresql.exec_driver_sql("alter table account_claims set unlogged")
    (problem,) = _problems(postgresql)
    assert (problem.table, problem.what) == ("account_claims", "is unlogged: a crash of the server empties it")
    postgresql.commit()
    assert inspection.exposures(postgresql.engine) == [f"{problem.table}: {problem.what}"]


@pytest.mark.fault("E01")
def test_a_row_that_a_check_refuses_is_no_damage(sqlite_warehouse: Engine) -> None:
    """SQLite's own integrity check also reports such rows; `verify` continues and names them."""
    days(sqlite_warehouse)
    with sqlite_warehouse.connect() as connection:
        connection.exec_driver_sql(UNCHECKED)
        connection.exec_driver_sql("update accounts set timezone = x'00'")
        connection.exec_driver_sql("pragma ignore_check_constraints = off")
        connection.commit()
        assert "CHECK constraint failed" in str(connection.exec_driver_sql("pragma integrity_check").scalar())
    verdict = verify_warehouse(sqlite_warehouse, [], lambda _: None)
    assert {p.table for p in verdict.problems} == {"accounts"}
