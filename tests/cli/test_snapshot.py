"""`vnsync snapshot`: nine tables and a manifest, or one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from etl.clock import SystemClock
from etl.domain.tables import TABLES
from etl.snapshot.parquet import how_to_install
from tests.support.checkout import ROOT
from tests.support.running import Run, Source


@pytest.fixture
def now(agency: Source, vnsync: Run) -> str:
    """A moment after a sync."""
    assert vnsync("sync", *agency.options).code == 0
    return SystemClock().now().isoformat()


def test_nine_tables_in_three_formats(now: str, agency: Source, vnsync: Run) -> None:
    """A table of the files, the folder and the moment; 27 files and the manifest on disk."""
    done = vnsync("snapshot", "--as-of", now, "--out", "out")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith("out: 2 accounts as known at ")
    assert len(list(Path("out").iterdir())) == 28
    manifest = json.loads(Path("out/manifest.json").read_bytes())
    assert [a["account_id"] for a in manifest["accounts"]] == agency.world.customer_ids
    assert manifest["accounts"][0].keys() == {"account_id", "observed_at", "chain_digest"}


def test_a_history_has_a_file_for_each_table(now: str, vnsync: Run) -> None:
    """The eight histories and the accounts; `verify` finds the folder good."""
    done = vnsync("snapshot", "--as-of", now, "--history", "--out", "out", "--format", "csv")
    assert (done.code, done.err) == (0, "")
    names = {path.name for path in Path("out").iterdir()} - {"manifest.json", "accounts.csv"}
    assert names == {f"{table.name}_history.csv" for table in TABLES}
    checked = vnsync("verify", "out")
    assert (checked.code, checked.out.splitlines()[-1]) == (0, "OK: no problems.")


def test_json_is_the_manifest(now: str, vnsync: Run) -> None:
    """For machines: where it is, and the manifest itself."""
    told = vnsync("snapshot", "--as-of", now, "--out", "out", "--format", "CSV", "--output", "json").json
    assert told["path"] == "out"
    assert {f["path"] for f in told["manifest"]["files"]} == {p.name for p in Path("out").glob("*.csv")}
    assert told["manifest"]["vnsync_version"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--as-of", "2999-01-01", "--out", "out"), 2, "lies in the future"),
        (("--as-of", "2020-01-01", "--out", "out"), 2, "before the first observation"),
        (("--as-of", "soon", "--out", "out"), 2, "is not a date or time"),
        (("--out", "out"), 2, "--as-of"),
        (("--as-of", "2020-01-01"), 2, "--out"),
        (("--as-of", "2020-01-01", "--out", "out", "--format", "xml"), 2, "'xml' is none of parquet, csv, ndjson"),
        (("--as-of", "NOW", "--out", "token"), 2, "already exists"),
        (("--as-of", "NOW", "--out", "token/deeper/out"), 74, "cannot"),
        (("--as-of", "NOW", "--out", "out", "--database-url", "sqlite:///none.db"), 78, "there is no warehouse"),
    ],
)
def test_bad_input_gets_one_line(now: str, arguments: tuple[str, ...], code: int, words: str, vnsync: Run) -> None:
    """And no folder is made."""
    done = vnsync("snapshot", *(now if a == "NOW" else a for a in arguments))
    assert (done.code, done.out) == (code, "")
    assert words in done.error
    assert not Path("out").exists()


def test_without_pyarrow(now: str, vnsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet is an extra: asked for, one line says how to get it here; else the formats that are there are written."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = vnsync("snapshot", "--as-of", now, "--out", "out", "--format", "parquet,csv")
    assert done.code == 78
    assert f"pip install '.[parquet]'` in {ROOT}" in done.error
    assert list(Path().glob("*out*")) == []
    done = vnsync("snapshot", "--as-of", now, "--out", "out")
    assert done.code == 0
    assert "Written as csv and ndjson; Parquet needs pyarrow" in done.out
    assert {p.suffix for p in Path("out").iterdir()} == {".csv", ".ndjson", ".json"}
    assert vnsync("snapshot", "--as-of", now, "--out", "two", "--output", "json").json["formats"] == ["csv", "ndjson"]


def test_a_snapshot_says_its_formats(now: str, vnsync: Run) -> None:
    """With all that can be installed, all formats are written, and nothing is said to be missing."""
    done = vnsync("snapshot", "--as-of", now, "--out", "out")
    assert (done.code, "pyarrow" in done.out) == (0, False)
    assert {p.suffix for p in Path("out").iterdir()} == {".csv", ".ndjson", ".parquet", ".json"}


def test_where_vnsync_is_no_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a checkout, the remedy names a package that every index has."""
    monkeypatch.setattr("etl.__file__", "/opt/vnsync/lib/python3.11/site-packages/etl/__init__.py")
    assert "`pip install pyarrow`" in how_to_install()
