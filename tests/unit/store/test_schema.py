"""Declaration of the warehouse's tables for SQLAlchemy."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import CheckConstraint

from etl.store import schema


@pytest.mark.parametrize("value", [1, -1.5, float("inf"), "", "2026-01-01 00:00:00.000000", "\U0010ffff", b"", b"2026"])
def test_current_rows_take_an_instant_only_as_text(value: object) -> None:
    """The check of current rows lets pass what `typeof` calls text, and calls no function: see `load.bulk`."""
    checks = [c for c in schema.current["sites"].constraints if isinstance(c, CheckConstraint)]
    (condition,) = [str(check.sqltext) for check in checks if check.name == "ck_sites_types"]
    assert "(" not in condition
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table t (valid_from datetime)")
        connection.execute("insert into t values (?)", (value,))
        (kept,) = connection.execute(f"select {condition} from t").fetchone()
    assert bool(kept) is isinstance(value, str)
