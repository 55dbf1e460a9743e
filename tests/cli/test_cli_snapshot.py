"""`vnsync snapshot`: nine tables and a manifest, or one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from etl.clock import SystemClock
from tests.cli.running import Run, Source


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
        (("--as-of", "soon", "--out", "out"), 2, "is no date or instant"),
        (("--out", "out"), 2, "--as-of"),
        (("--as-of", "2020-01-01"), 2, "--out"),
        (("--as-of", "2020-01-01", "--out", "out", "--format", "xml"), 2, "'xml' is none of parquet, csv, ndjson"),
        (("--as-of", "NOW", "--out", "token"), 2, "is there already"),
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
    """Parquet is an extra: one line says how to get it, and the other formats need nothing."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = vnsync("snapshot", "--as-of", now, "--out", "out")
    assert done.code == 78
    assert "pip install 'vnsync[parquet]'" in done.error
    assert list(Path().glob("*out*")) == []
    assert vnsync("snapshot", "--as-of", now, "--out", "out", "--format", "csv,ndjson").code == 0
