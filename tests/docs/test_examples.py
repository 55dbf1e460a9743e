"""Programs of examples/: each compiles, and those whose libraries are installed answer as the warehouse does."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from etl.domain.tables import TABLES
from etl.sandbox.world import CustomerPlan, World
from etl.snapshot.write import write_snapshot
from tests.support.checkout import ROOT
from tests.support.rig import Rig

EXAMPLES = ROOT / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


def load(name: str) -> ModuleType:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lived(warehouse: Engine) -> Rig:
    """Three days of an agency of two customers whose numbers change campaigns."""
    rig = Rig(World(seed=4, customers=[CustomerPlan(numbers=40), CustomerPlan(numbers=15)], role="agent"), warehouse)
    for day in range(3):
        if day:
            rig.world.pass_day(share=0.3)
        assert rig.sync().exit_code == 0
    return rig


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_each_program_compiles_and_is_described(program: Path) -> None:
    """It is Python, begins with its purpose, and has a row in the page."""
    code = compile(program.read_text(encoding="utf-8"), str(program), "exec")
    assert code.co_consts[0].split("\n")[0].endswith(".")
    assert re.search(rf"^\| `{program.name}` \|", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


# -- calls and their campaigns


@pytest.fixture
def calls(lived: Rig) -> list[tuple[datetime, str]]:
    """Calls on all numbers, from before the first observation until after the last."""
    dice, start = random.Random(2), lived.clock.now() - timedelta(days=3)
    phones = [row[0] for row in lived.rows("select distinct virtual_phone_number from virtual_numbers_history")]
    seconds = [dice.randrange(4 * 86_400) for _ in range(600)]
    return [(start + timedelta(seconds=second), dice.choice(phones)) for second in seconds]


def _by_the_view(rig: Rig, calls: list[tuple[datetime, str]]) -> list[tuple[Any, ...]]:
    """Number of the call, campaign and site, as the view's periods say."""
    periods = rig.rows(
        "select virtual_phone_number, valid_from, valid_to, campaign_name, site_domain_name"
        " from number_campaign_periods"
    )
    found = []
    for number, (at, phone) in enumerate(calls):
        held = [
            (number, name, site)
            for of, begin, end, name, site in periods
            if of == phone and _utc(begin) <= at and (end is None or at < _utc(end))
        ]
        found += held or [(number, None, None)]
    return sorted(found, key=str)


def _utc(value: datetime | str) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


@pytest.fixture
def folder(lived: Rig, tmp_path: Path) -> Path:
    """A snapshot of the history until now."""
    write_snapshot(lived.engine, lived.clock.now(), tmp_path / "history", ("parquet",), history=True)
    return tmp_path / "history"


def test_pandas_attributes_as_the_view_does(lived: Rig, folder: Path, calls: list[tuple[datetime, str]]) -> None:
    """Each call has the campaigns that the view's periods give; one from before all observations has none."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        [(at.isoformat(), phone, i) for i, (at, phone) in enumerate(calls)], columns=["call_time", "phone", "number"]
    )
    found = load("attribution_pandas").attribute(folder, frame)
    named = found[["number", "campaign_name", "site_domain_name"]].astype(object)
    rows = named.where(named.notna(), None).itertuples(index=False, name=None)
    assert sorted(rows, key=str) == _by_the_view(lived, calls)


def test_duckdb_attributes_as_the_view_does(
    lived: Rig, folder: Path, calls: list[tuple[datetime, str]], tmp_path: Path
) -> None:
    """The same, from a file of calls."""
    pytest.importorskip("duckdb")
    lines = [f"{at.isoformat()},{phone},{i}\n" for i, (at, phone) in enumerate(calls)]
    (tmp_path / "calls.csv").write_text("".join(["call_time,phone,number\n", *lines]))
    found = load("attribution_duckdb").attribute(folder, tmp_path / "calls.csv")
    rows = found.project("number, campaign_name, site_domain_name").fetchall()
    assert sorted(rows, key=str) == _by_the_view(lived, calls)


# -- the history elsewhere


class _Incremental:
    """The part of dlt's cursor that the program reads."""

    def __init__(self, _column: str = "", lag: float = 0.0, last_value: datetime | None = None) -> None:
        self.last_value = last_value

    def __class_getitem__(cls, _item: object) -> type[_Incremental]:
        return cls


@pytest.fixture
def to_dlt(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, with a stand-in for dlt that hands its resources over as plain functions."""

    def resource(**hints: Any) -> Any:
        return lambda function: SimpleNamespace(read=function, **hints)

    stand_in = SimpleNamespace(resource=resource, sources=SimpleNamespace(incremental=_Incremental))
    monkeypatch.setitem(sys.modules, "dlt", stand_in)
    return load("dlt_history")


def test_what_goes_to_dlt_is_what_changed(lived: Rig, to_dlt: ModuleType) -> None:
    """All versions at first, then those that were opened or closed since; each key once, times with a zone."""
    assert tuple(table.name for table in TABLES) == to_dlt.TABLES
    since = lived.clock.now() - timedelta(hours=1)
    engine = create_engine(lived.engine.url)  # as the program makes it
    for name in to_dlt.TABLES:
        resource = to_dlt.versions(engine, name)
        every = [row for some in resource.read(_Incremental()) for row in some]
        assert len(every) == lived.rows(f"select count(*) from {name}_history")[0][0]
        assert len({tuple(row[column] for column in resource.primary_key) for row in every}) == len(every)
        assert all(row["changed_at"] == (row["valid_to"] or row["valid_from"]) for row in every)
        later = [row for some in resource.read(_Incremental(last_value=since)) for row in some]
        assert sorted(map(str, later)) == sorted(str(row) for row in every if row["changed_at"] >= since)
        assert all(row["extra"] is None or json.loads(row["extra"]) for row in every if "extra" in row)
        typed = {column: hint["data_type"] for column, hint in resource.columns.items()}
        instants = {column for column, kind in typed.items() if kind == "timestamp"}
        assert instants == {"valid_from", "valid_to", "changed_at"}
    engine.dispose()


def test_iceberg_tables_have_the_versions_of_the_warehouse(lived: Rig, tmp_path: Path) -> None:
    """After each of three loads, a day apart, the same rows in all eight tables; later loads write fewer."""
    sql = pytest.importorskip("pyiceberg.catalog.sql")
    import pyarrow.parquet

    program, home = load("iceberg_history"), tmp_path / "iceberg"
    home.mkdir()
    catalog = sql.SqlCatalog("vnsync", uri=f"sqlite:///{home}/catalog.db", warehouse=f"file://{home}")
    for day in range(3):
        lived.world.pass_day(share=0.3)
        assert lived.sync().exit_code == 0
        folder = tmp_path / f"day{day}"
        write_snapshot(lived.engine, lived.clock.now(), folder, ("parquet",), history=True)
        written = {name: rows for name, rows in program.load(folder, catalog).items() if name != "accounts"}
        total = 0
        for table in TABLES:
            name = f"{table.name}_history"
            rows = pyarrow.parquet.read_table(folder / f"{name}.parquet").to_pylist()
            found = catalog.load_table(f"vnsync.{name}").scan().to_arrow().to_pylist()
            assert sorted(map(str, found)) == sorted(map(str, rows))
            total += len(rows)
        assert (sum(written.values()) < total) == (day > 0)
    catalog.close()
