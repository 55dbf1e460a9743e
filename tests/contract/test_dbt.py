"""The dbt package: its generated part, and dbt itself over a warehouse; `make soak` makes the environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, make_url, text

from etl.describe.dbt import dbt
from etl.store.described import RelationKind
from etl.store.engine import open_warehouse
from etl.store.relations import relations
from tests.support.checkout import ROOT
from tests.support.story import DAYS, tell

PACKAGE = ROOT / "dbt"
DBT = ROOT / ".venv-dbt" / "bin" / "dbt"
CALLS = """
create table calls as
select row_number() over () as call_id, n.virtual_phone_number as phone, s.observed_at as call_time
from virtual_numbers n cross join (select distinct observed_at from account_syncs where observed_at is not null) s
where n.virtual_phone_number is not null
"""


def test_sources_are_generated() -> None:
    """If this fails: `vnsync describe --format dbt > dbt/models/sources.yml`."""
    assert (PACKAGE / "models" / "sources.yml").read_text(encoding="utf-8") == dbt(relations(), "vnsync")


def test_the_tests_of_dbt_have_what_they_read() -> None:
    """Every table and history has its key, every history's ends with valid_from; references name tables and columns."""
    (source,) = yaml.safe_load(dbt(relations(), "vnsync"))["sources"]
    tables = {table["name"]: table for table in source["tables"]}
    columns = {name: {column["name"] for column in table["columns"]} for name, table in tables.items()}
    for relation in relations():
        meta = tables[relation.name]["config"]["meta"]
        assert set(meta.get("key", [])) <= columns[relation.name]
        assert ("key" in meta) == (relation.kind is not RelationKind.ANSWERS)
        assert relation.kind is not RelationKind.HISTORY or meta["key"][-1] == "valid_from"
        for reference in meta.get("references", []):
            assert set(reference["columns"]) <= columns[relation.name]
            assert set(reference["referred"]) <= columns[reference["table"]]


class Project:
    """The package with a profile for one warehouse, in which calls are waiting."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self._folder = engine, folder
        tell(engine, DAYS)
        self.do(CALLS)
        profile = {"target": "trial", "outputs": {"trial": _target(engine, folder)}}
        (folder / "profiles.yml").write_text(json.dumps({"vnsync": profile}), encoding="utf-8")
        self._variables = {"vnsync_calls": "calls", "vnsync_schema": _schema(engine)}

    def do(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def run(self, *words: str, **variables: Any) -> Mapping[str, str]:
        """Run dbt; the status of each node, by its name."""
        target = self._folder / "target"
        options = ("--profiles-dir", self._folder, "--project-dir", PACKAGE, "--target-path", target)
        given = json.dumps(self._variables | variables)
        command = [DBT, "--no-use-colors", *words, *options, "--log-path", self._folder / "logs", "--vars", given]
        environment = os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        done = subprocess.run(
            [str(word) for word in command], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        name = "sources.json" if "freshness" in words else "run_results.json"
        assert (target / name).exists(), done.stdout + done.stderr
        results = json.loads((target / name).read_text(encoding="utf-8"))["results"]
        return {result["unique_id"].split(".")[-1]: result["status"] for result in results}

    def scalar(self, query: str) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(text(query)).scalar_one()


def _schema(engine: Engine) -> str:
    return "main" if engine.name == "sqlite" else "public"


def _target(engine: Engine, folder: Path) -> dict[str, Any]:
    """dbt's way to the warehouse."""
    url = make_url(engine.url)
    if engine.name == "sqlite":
        paths = {"schemas_and_paths": {"main": url.database}, "schema_directory": str(folder)}
        return {"type": "sqlite", "threads": 1, "database": "database", "schema": "main", **paths}
    host = url.host or url.query["host"]
    place = {"host": host, "port": int(url.port or str(url.query.get("port", 5432))), "dbname": url.database}
    return {
        "type": "postgres",
        "threads": 1,
        "schema": "public",
        "user": url.username or "postgres",
        "password": "-",
        **place,
    }


@pytest.fixture
def project(warehouse_url: str, tmp_path: Path) -> Project:
    """The package over five days of the story."""
    if not DBT.exists():
        pytest.skip("there is no .venv-dbt: `make soak` makes it")
    return Project(open_warehouse(warehouse_url), tmp_path)


@pytest.mark.soak
def test_dbt_builds_and_attributes_calls(project: Project) -> None:
    """All models and tests pass, twice; each call is there, and those that are settled are not worked out again."""
    for _ in range(2):
        assert set(project.run("build").values()) == {"success", "pass"}
        assert project.scalar("select count(distinct call_id) from call_attribution") == project.scalar(
            "select count(*) from calls"
        )
    assert project.scalar("select count(*) from call_attribution where certainty = 'certain'") > 0
    project.do("update call_attribution set campaign_name = 'kept' where certainty = 'certain'")
    project.run("run", "--select", "call_attribution")
    assert project.scalar("select count(*) from call_attribution where campaign_name = 'kept'") > 0


@pytest.mark.soak
def test_dbt_finds_what_does_not_hold(project: Project) -> None:
    """A version that overlaps, and a link to nothing, each fail the test of their kind and no other."""
    project.do("update virtual_numbers_closed set valid_to = '9999-01-01 00:00:00.000000'")
    project.do("delete from scenarios")
    found = project.run("test")
    assert {name for name, status in found.items() if status == "fail"} == {"vnsync_overlaps", "vnsync_references"}
    assert found["vnsync_keys"] == "pass"


@pytest.mark.soak
def test_one_stale_customer_is_not_hidden(project: Project) -> None:
    """The account that was observed longest ago decides, whatever the others' newest sync says."""
    if project.engine.name == "sqlite":
        pytest.skip("dbt-sqlite reads no times for freshness")
    hours = project.scalar("select extract(epoch from now() - min(started_at)) / 3600 from account_syncs")
    project.do(
        "update account_syncs set observed_at = now() where account_id <> (select min(account_id) from account_syncs)"
    )
    assert project.run("source", "freshness") == {"account_syncs": "error"}
    late = int(hours) + 1000
    assert project.run("source", "freshness", vnsync_error_after=late, vnsync_warn_after=late) == {
        "account_syncs": "pass"
    }
