"""`vnsync describe`: every format names every table, view and column, and no database is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from etl.cli.main import run
from etl.store.relations import relations

NAMES = {relation.name: [column.name for column in relation.columns] for relation in relations()}


@pytest.fixture
def describe(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs the command where no database can be reached, and returns its output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VNSYNC_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")

    def call(*arguments: str) -> str:
        assert run(["describe", *arguments]) == 0
        return capsys.readouterr().out

    return call


def _columns(tables: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {table["name"]: [column["name"] for column in table["columns"]] for table in tables}


def test_json_has_all_parts_of_every_sentence(describe: Callable[..., str]) -> None:
    """Keys, types of both databases, the meaning of null, the API's field, and whether a column is personal."""
    found = json.loads(describe("--format", "json"))["relations"]
    assert _columns(found) == NAMES
    numbers = next(each for each in found if each["name"] == "virtual_numbers")
    assert numbers["primary_key"] == ["account_id", "virtual_number_id"]
    assert numbers["columns"][3] == {
        "name": "virtual_phone_number",
        "description": "Phone number as sent, usually digits with the country code; null: the API sent none, or erased;"
        " API: get.virtual_numbers $.virtual_phone_number.",
        "meaning": "Phone number as sent, usually digits with the country code",
        "null": "the API sent none, or erased",
        "api_field": "get.virtual_numbers $.virtual_phone_number",
        "personal": True,
        "type": {"postgresql": "text", "sqlite": "text"},
    }
    links = next(each for each in found if each["name"] == "virtual_number_campaigns")["references"]
    assert {"table": "campaigns", "columns": ["account_id", "campaign_id"]} in [
        {name: link[name] for name in ("table", "columns")} for link in links
    ]


def test_dbt_is_a_source_with_every_column(describe: Callable[..., str]) -> None:
    """Under the name that was asked for, with a schema that the project sets."""
    sources = yaml.safe_load(describe("--format", "dbt", "--name", "calls"))["sources"]
    assert [source["name"] for source in sources] == ["calls"]
    assert sources[0]["schema"] == "{{ var('vnsync_schema', 'public') }}"
    assert _columns(sources[0]["tables"]) == NAMES
    assert all(c["description"] for table in sources[0]["tables"] for c in table["columns"])


def test_datasette_hides_what_people_do_not_read(describe: Callable[..., str]) -> None:
    """Tables of the next run and ended versions are hidden; facets, labels and orders name columns that exist."""
    tables = json.loads(describe("--format", "datasette", "--name", "vnsync-demo"))["databases"]["vnsync-demo"][
        "tables"
    ]
    assert {name: list(table["columns"]) for name, table in tables.items()} == NAMES
    hidden = {name for name, table in tables.items() if table.get("hidden")}
    assert {"listing_windows", "virtual_numbers_closed", "vnsync_version"} <= hidden
    assert not hidden & {"virtual_numbers", "changes", "sync_runs", "quarantine", "sites_history"}
    for name, table in tables.items():
        named = [*table.get("facets", []), *(table[key] for key in ("label_column", "sort_desc") if key in table)]
        assert set(named) <= set(NAMES[name]), name


def test_openlineage_has_two_facets_for_each_dataset(describe: Callable[..., str]) -> None:
    """Documentation and schema, with the producer and the address of the facet's schema."""
    found = json.loads(describe("--format", "openlineage", "--name", "postgres://db:5432"))
    assert {each["name"]: [f["name"] for f in each["facets"]["schema"]["fields"]] for each in found} == NAMES
    assert {each["namespace"] for each in found} == {"postgres://db:5432"}
    for each in found:
        for facet in each["facets"].values():
            assert facet["_producer"].startswith("urn:vnsync:")
            assert facet["_schemaURL"].startswith("https://openlineage.io/spec/facets/")


def test_markdown_is_the_default(describe: Callable[..., str]) -> None:
    """It has a line for each column of a table of its own, and a diagram."""
    page = describe()
    assert page == describe("--format", "markdown")
    assert "```mermaid\nerDiagram\n" in page
    for name in NAMES:
        assert f"`{name}`" in page


def test_an_unknown_format_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with the formats that there are."""
    assert run(["describe", "--format", "pdf"]) == 2
    assert "markdown" in capsys.readouterr().err


@pytest.mark.parametrize("format_", ["markdown", "dbt", "datasette", "openlineage", "json"])
def test_output_json_is_one_object(format_: str, describe: Callable[..., str]) -> None:
    """One object, as from every command; a format that is JSON itself is not wrapped in a string."""
    plain = describe("--format", format_)
    found = json.loads(describe("--format", format_, "--output", "json"))
    assert found["format"] == format_
    assert found["content"] == (plain if format_ in ("markdown", "dbt") else json.loads(plain))
