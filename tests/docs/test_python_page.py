"""docs/python.md: its examples run as they are printed, and its tables are the module's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vnsync
from etl.sandbox.world import CustomerPlan, World
from tests.support import pages
from tests.support.checkout import ROOT
from tests.support.running import Source, listening

PAGE = ROOT / "docs" / "python.md"
EXAMPLES = "\n".join(text for language, text in pages.blocks(PAGE) if language == "python")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """A customer of 20 numbers, with its key in `token.txt` of the current folder."""
    yield from listening(World(seed=3, customers=[CustomerPlan(numbers=20)], role="customer"), tmp_path)


def test_examples_run_as_printed(
    source: Source,
    warehouse_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One after the other, as in a notebook, against the sandbox: only host, database and number are others."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("VNSYNC_")]:
        monkeypatch.delenv(name)
    (tmp_path / "token").rename(tmp_path / "token.txt")
    for name, value in {"API_URL": source.url, "API_TOKEN_FILE": "token.txt", "DATABASE_URL": warehouse_url}.items():
        monkeypatch.setenv(f"VNSYNC_{name}", value)
    (account_id,) = source.world.customer_ids
    number = next(record for record in source.world.truth(account_id) if record["campaigns"])
    code = EXAMPLES
    for printed, here in {
        '"callgear"': source.url,
        '"sqlite:///numbers.db"': warehouse_url,
        '"+7 (495) 123-45-67"': number["virtual_phone_number"],
    }.items():
        assert code.count(printed) == 1
        code = code.replace(printed, repr(here))
    exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})
    told = capsys.readouterr()
    assert re.match(r"run \d{16}: 1 accounts published\n", told.out)
    assert {f"{c['campaign_name']} " for c in number["campaigns"]} <= set(
        re.findall(r"^.+? (?=\d{4}-)", told.out, re.M)
    )
    assert "number_first_seen" in told.out
    assert told.err == ""


def test_the_table_of_errors_is_the_module_s() -> None:
    """Each error of the module but the base, with its exit code."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    errors: dict[str, Any] = {name: getattr(vnsync, name) for name in vnsync._HOMES["etl.errors"]}
    assert {name: int(code) for name, code in rows} == {
        name: kind.exit_code for name, kind in errors.items() if name != "VnsyncError"
    }


def test_the_table_of_functions_is_the_module_s() -> None:
    """Every function but the command's entry point."""
    rows = re.findall(r"^\| `(\w+)\([^)]*\)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(set(vnsync._FUNCTIONS) - {"main"})
