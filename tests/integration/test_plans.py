"""Query plans: no key query scans a whole table of numbers or of their history."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, Executable

from benchmarks.reading import QUERIES
from etl.domain.tables import NUMBER_CAMPAIGNS, TABLES, VIRTUAL_NUMBERS
from etl.read import as_of
from etl.read.changes import TimeRange, version_events
from etl.sandbox.world import CustomerPlan, World
from etl.store import schema
from tests.support.rig import Rig

WHOLE = {name for name in QUERIES if name.endswith(": all")} | {"a table as of amid"}
"""Queries that read everything."""
MOMENT = datetime(2026, 1, 8, tzinfo=UTC)
LARGE = {name for t in TABLES if t.per_number for name in (t.name, f"{t.name}_closed")}


def _few_days(warehouse: Engine) -> None:
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=400)], role="customer"), warehouse)
    for _ in range(4):
        assert rig.sync().exit_code == 0
        rig.world.pass_day(share=0.3)
    if warehouse.name == "postgresql":
        with warehouse.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("vacuum analyze")


@pytest.fixture
def lived(warehouse_after: Callable[[Callable[[Engine], None]], Engine]) -> Engine:
    """A warehouse of a few days, with planner statistics."""
    return warehouse_after(_few_days)


class Explain(Executable, ClauseElement):
    """`explain` of a statement, with its parameters."""

    inherit_cache = False

    def __init__(self, statement: Any) -> None:
        self.statement = statement


@compiles(Explain)
def _explain(element: Explain, compiler: Any, **more: Any) -> str:
    words = "explain" if compiler.dialect.name == "postgresql" else "explain query plan"
    return f"{words} {compiler.process(element.statement, **more)}"


def _plan(engine: Engine, statement: Any) -> list[str]:
    """The plan's lines. PostgreSQL plans as if the tables were large."""
    with engine.connect() as connection:
        if engine.name == "postgresql":
            connection.execute(text("set local enable_seqscan = off"))
        result: Any = connection.execute(Explain(statement))  # the result has other column types than the statement
        return [str(row[-1]) for row in result.cursor.fetchall()]


def _scanned(engine: Engine, statement: Any) -> list[str]:
    """Names that the plan scans: large tables, and the views' aliases of numbers, links and versions."""
    pattern = r"Seq Scan on (\w+)" if engine.name == "postgresql" else r"^SCAN (\w+)"
    names = LARGE if engine.name == "postgresql" else {*LARGE, *"vnldehmo", "open_elsewhere", "ended_elsewhere"}
    return [name for line in _plan(engine, statement) for name in re.findall(pattern, line) if name in names]


@pytest.mark.parametrize("name", sorted(QUERIES.keys() - WHOLE))
def test_views_are_looked_into_by_index(lived: Engine, name: str) -> None:
    """One number, one phone number, one day: found by key, phone number or time, in current and closed rows."""
    moments = {"last": MOMENT, "amid": MOMENT, "next": MOMENT + timedelta(days=1)}
    written = {k: f"{v:%Y-%m-%d %H:%M:%S.%f}" for k, v in moments.items()} if lived.name == "sqlite" else moments
    told: dict[str, Any] = {"a": 12001, "n": 100_010, "p": "7495", **written}
    used = {key: value for key, value in told.items() if re.search(rf":{key}\b", QUERIES[name])}
    assert _scanned(lived, text(QUERIES[name]).bindparams(**used)) == []


@pytest.mark.parametrize("column", VIRTUAL_NUMBERS.sought)
def test_phone_and_redirection_numbers_are_found_by_index(lived: Engine, column: str) -> None:
    """`history` scans no table for a number in any spelling that the source may have used."""
    for table in (schema.current[VIRTUAL_NUMBERS.name], schema.closed[VIRTUAL_NUMBERS.name]):
        assert _scanned(lived, select(table.c.virtual_number_id).where(table.c[column].in_(["7495", "+7495"]))) == []


@pytest.mark.parametrize("table", [VIRTUAL_NUMBERS, NUMBER_CAMPAIGNS], ids=lambda t: t.name)
def test_changes_of_a_day_read_that_day(lived: Engine, table: Any) -> None:
    """The command `changes` finds versions that began or ended in the time range by an index."""
    window = TimeRange(start=MOMENT, end=MOMENT + timedelta(days=1))
    assert _scanned(lived, version_events(table, window, names=True, moves=True)) == []


def test_the_check_sees_a_scan(lived: Engine) -> None:
    """A query without a suitable index is reported as a scan of the whole table."""
    assert _scanned(lived, text("select * from virtual_numbers where comment = 'x'")) == ["virtual_numbers"]


def test_the_tables_as_of_a_moment_come_in_the_order_of_their_keys(lived: Engine) -> None:
    """SQLite merges current and closed rows by their keys and sorts nothing, so that a snapshot streams."""
    if lived.name == "postgresql":
        return
    for table in TABLES:
        plan = " ".join(_plan(lived, as_of.rows(table, MOMENT)))
        assert "MERGE" in plan, table.name
        assert "TEMP B-TREE" not in plan, plan
