"""Datasette itself over a warehouse and the metadata of `vnsync describe`: `make soak` makes the environment."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from etl.describe.datasette import datasette
from etl.store.engine import open_warehouse
from etl.store.relations import relation, relations
from tests.support.browser import chromium, dom
from tests.support.checkout import ROOT
from tests.support.story import DAYS, tell

DATASETTE = ROOT / ".venv-datasette" / "bin" / "datasette"
LIMITS = ("--setting", "sql_time_limit_ms", "60000", "--setting", "facet_time_limit_ms", "60000")
LISTENING = re.compile(r"(http://127\.0\.0\.1:\d+)")
pytestmark = pytest.mark.soak


@pytest.fixture
def datasette_command(tmp_path: Path, sqlite_template: Path) -> list[str]:
    """Datasette over the five days of the story; the database is called `warehouse`."""
    if not DATASETTE.exists():
        pytest.skip("there is no .venv-datasette: `make soak` makes it")
    database, metadata = tmp_path / "warehouse.db", tmp_path / "metadata.json"
    database.write_bytes(sqlite_template.read_bytes())
    tell(open_warehouse(f"sqlite:///{database}"), DAYS)
    metadata.write_text(datasette(relations(), "warehouse"), encoding="utf-8")
    return [str(DATASETTE), str(database), "--metadata", str(metadata), *LIMITS]


@pytest.fixture
def page(datasette_command: list[str]) -> Callable[[str], str]:
    """Datasette's answers, by path."""

    def get(path: str) -> str:
        command = [*datasette_command, "--get", path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return get


@pytest.fixture
def seen(datasette_command: list[str], tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Pages of a listening Datasette as Chromium has them after their scripts have run, by path."""
    program = chromium()
    with subprocess.Popen([*datasette_command, "--port", "0"], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            url = next(filter(None, map(LISTENING.search, server.stderr)))[1]
            yield lambda path: unescape(dom(program, url + path, tmp_path / "profile"))
        finally:
            server.terminate()


def _json(text: str) -> Any:
    return json.loads(text)


def test_the_page_of_the_database_shows_what_people_read(page: Callable[[str], str]) -> None:
    """Internals are hidden, every other table, all views and the named queries are shown."""
    found = _json(page("/warehouse.json"))
    hidden = {table["name"] for table in found["tables"] if table["hidden"]}
    shown = {table["name"] for table in found["tables"]} - hidden
    assert {"virtual_numbers", "account_syncs", "quarantine"} <= shown
    assert {"listing_windows", "vnsync_version", "sites_closed"} <= hidden
    assert {view["name"] for view in found["views"]} == {each.name for each in relations() if each.is_view}
    assert [query["name"] for query in found["queries"]] == ["number_life", "attribution", "changed"]


def test_a_table_has_its_sentences_and_facets(page: Callable[[str], str]) -> None:
    """Above the rows, for the table and each column."""
    shown = page("/warehouse/virtual_numbers").replace("&#39;", "'")
    numbers = relation("virtual_numbers")
    for sentence in (numbers.sentence, *(column.meaning.sentence for column in numbers.columns)):
        assert sentence in shown
    for facet in ("status", "category", "type"):
        assert f'id="facet-{facet}"' in shown


def test_a_run_is_linked_by_its_start(page: Callable[[str], str]) -> None:
    """A key of one column shows the label of the row that it refers to."""
    rows = _json(page("/warehouse/account_syncs.json?_labels=on&_shape=array"))
    assert {row["run_id"]["label"][:10] for row in rows} == set(DAYS)


def test_named_queries_answer(page: Callable[[str], str]) -> None:
    """With the fields of their forms."""
    life = _json(page("/warehouse/number_life.json?number=%2B7495001&_shape=array"))
    assert [row["value"] for row in life if row["what"] == "campaign"] == ["Spring", "Summer", "Winter", "Winter"]
    call = "/warehouse/attribution.json?phone=%2B7495001&call_time=2026-01-09+12:00:00&_shape=array"
    assert [(row["certainty"], row["campaign_name"]) for row in _json(page(call))] == [("certain", "Winter")]
    changed = _json(page("/warehouse/changed.json?day=2026-01-09&_shape=array"))
    assert sorted(row["entity"] for row in changed) == ["number", "site"]


# -- in a browser


def _links(html: str) -> set[str]:
    """Tables, views and queries of the warehouse that a page links to."""
    return set(re.findall(r'href="/warehouse/(\w+)"', html))


def _column(html: str, name: str) -> list[str]:
    """The cells of a column, without their markup."""
    cells = re.findall(rf'<td class="col-{name}\b[^>]*>(.*?)</td>', html, re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", "", cell).split()) for cell in cells]


def test_a_browser_shows_what_people_read(seen: Callable[[str], str]) -> None:
    """The database's page leads to tables, views and queries, and to no internals."""
    shown = _links(seen("/warehouse"))
    assert {"virtual_numbers", "number_campaign_certainty", "number_life", "attribution", "changed"} <= shown
    assert not shown & {"listing_windows", "vnsync_version", "account_claims", "sites_closed"}


def test_a_browser_shows_sentences_and_facets(seen: Callable[[str], str]) -> None:
    """Sentences of table and columns, facets with their counts; Datasette's script has given each head its menu."""
    shown = seen("/warehouse/virtual_numbers")
    numbers = relation("virtual_numbers")
    for sentence in (numbers.sentence, *(column.meaning.sentence for column in numbers.columns)):
        assert sentence in shown
    for facet in ("status", "category", "type"):
        assert f'id="facet-{facet}"' in shown
    assert sorted(_column(shown, "virtual_phone_number")) == ["+7495001", "+7495002"]
    assert shown.count('class="dropdown-menu-icon"') >= len(numbers.columns)


@pytest.mark.parametrize(
    ("query", "column", "cells"),
    [
        ("number_life?number=%2B7495001", "value", ["Spring", "Summer", "Winter", "Winter"]),
        ("attribution?phone=%2B7495001&call_time=2026-01-07+12:00:00", "certainty", ["changed"]),
        ("changed?day=2026-01-09", "entity", ["number", "site"]),
    ],
)
def test_a_browser_shows_the_answers_of_named_queries(
    seen: Callable[[str], str], query: str, column: str, cells: list[str]
) -> None:
    """In a table, below a form that still has the fields."""
    shown = seen(f"/warehouse/{query}")
    assert sorted(cells) == sorted(cell for cell in _column(shown, column) if cell in cells)
    for field in re.findall(r"[?&](\w+)=", query):
        assert f'name="{field}"' in shown
