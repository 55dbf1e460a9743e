"""`vnsync verify`: output, exit codes, and errors for bad input."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from tests.support.running import Run, Source


@pytest.fixture
def synced(customer: Source, vnsync: Run) -> Source:
    """A warehouse with one sync of the customer's numbers."""
    assert vnsync("sync", *customer.options).code == 0
    return customer


def _edit(statement: str) -> None:
    connection = sqlite3.connect("vnsync.db")
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


@pytest.mark.usefixtures("synced")
def test_a_sound_warehouse(vnsync: Run) -> None:
    """Exit 0, the chain's head, and a hint that a head kept elsewhere proves more; with one, where it stands."""
    head = vnsync("status", "--output", "json").json["accounts"][0]["chain_digest"]
    done = vnsync("verify")
    assert (done.code, done.err) == (0, "")
    assert head in done.out
    assert done.out.splitlines()[-1].startswith("OK: no problems. (Without --head, ")
    kept = vnsync("verify", "--head", head.upper())
    assert kept.code == 0
    assert f"Head {head[:12]}... is in the chain of account" in kept.out
    assert ", the last." in kept.out


@pytest.mark.usefixtures("synced")
def test_machines_get_instants_as_from_every_command(vnsync: Run) -> None:
    """`observed_at` is ISO 8601 in UTC, the same text as in `status`."""
    (observed,) = (a["observed_at"] for a in vnsync("status", "--output", "json").json["accounts"])
    assert observed.endswith("Z")
    assert [a["observed_at"] for a in vnsync("verify", "--output", "json").json["accounts"]] == [observed]


@pytest.mark.usefixtures("synced")
def test_an_edited_warehouse(vnsync: Run) -> None:
    """Exit 70; the row is in the table, in the one line on stderr, and in the object for machines."""
    _edit("update virtual_numbers set comment = 'forged' where virtual_number_id = (select min(virtual_number_id)"
          " from virtual_numbers)")  # fmt: skip
    done = vnsync("verify")
    assert done.code == 70
    assert "virtual_number_id" in done.out
    assert done.error.startswith("vnsync: error: 1 problem found; the first: virtual_numbers virtual_number_id ")
    told = vnsync("verify", "--output", "json")
    assert (told.code, told.json["ok"], told.json["problem_count"]) == (70, False, 1)
    assert {"table", "key", "account_id", "run_id", "what"} == told.json["problems"][0].keys()


@pytest.mark.usefixtures("synced")
def test_a_head_that_is_in_no_chain(vnsync: Run) -> None:
    """Exit 70, and the head is named."""
    done = vnsync("verify", "--head", "12001=" + "0" * 64)
    assert done.code == 70
    assert "0" * 64 in done.error.replace("\n", "")


@pytest.mark.usefixtures("synced")
def test_a_snapshot(vnsync: Run) -> None:
    """A snapshot is verified against its manifest and the warehouse; an edited file is named, with exit 70."""
    assert vnsync("snapshot", "--as-of", "2099-01-01", "--out", "x").code == 2
    observed = vnsync("status", "--output", "json").json["accounts"][0]["observed_at"]
    taken = vnsync("snapshot", "--as-of", observed, "--out", "shot", "--format", "csv", "--output", "json").json
    assert taken["manifest"] == json.loads(Path("shot/manifest.json").read_text())
    rows = sum(file["rows"] for file in taken["manifest"]["files"])
    done = vnsync("verify", "shot")
    asof, compared, verdict = done.out.splitlines()
    assert (done.code, verdict) == (0, "OK: no problems.")
    assert asof == f"As known at {observed}: 1 account, 9 files, {rows} rows."
    assert compared == "Compared with its manifest and with sqlite:///vnsync.db."
    assert vnsync("verify", "shot", "--output", "json").json["notes"] == [asof, compared]
    file = Path("shot/campaigns.csv")
    file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    assert vnsync("verify", "shot", "--head", "0" * 64).code == 2
    edited = vnsync("verify", "shot")
    assert edited.code == 70
    assert "campaigns.csv" in edited.error


def test_an_archive(customer: Source, vnsync: Run) -> None:
    """An archive is verified against its manifests, and its head printed; a lost response is named, with exit 70."""
    assert vnsync("sync", "--archive", "kept", *customer.options).code == 0
    done = vnsync("verify", "kept")
    assert done.code == 0
    assert "1 run, " in done.out
    assert done.out.endswith("OK: no problems.\n")
    lost = next(path for path in Path("kept/objects").rglob("*.gz"))
    lost.unlink()
    damaged = vnsync("verify", "kept", "--output", "json")
    assert (damaged.code, damaged.json["ok"]) == (70, False)
    assert lost.parent.name + lost.stem[:12] in str(damaged.json["problems"])


def test_an_archives_head(customer: Source, vnsync: Run) -> None:
    """A printed head is required later, with its run or alone; it is missing if runs were cut off the end."""
    for _ in range(2):
        assert vnsync("sync", "--archive", "kept", *customer.options).code == 0
    told = vnsync("verify", "kept").out
    found = re.search(r"head ([0-9]+):([0-9a-f]{64})\.", told)
    assert found
    run, digest = found.groups()
    for head in (f"{run}:{digest}", f"0{run}:{digest}", digest.upper()):
        done = vnsync("verify", "kept", "--head", head)
        assert done.code == 0
        assert f"is the head of run {run}, the newest" in done.out
    assert vnsync("verify", "kept", "--head", f"12001={digest}").code == 2
    assert vnsync("verify", "--head", f"{run}:{digest}").code == 2
    Path(f"kept/runs/{run}.jsonl").unlink()
    assert vnsync("verify", "kept").code == 0
    cut = vnsync("verify", "kept", "--head", f"{run}:{digest}")
    assert cut.code == 70
    assert f"head {run}:{digest} matches no run of the archive" in cut.error
    for path in Path("kept/runs").iterdir():
        path.unlink()
    bare = vnsync("verify", "kept")
    assert (bare.code, "head None" in bare.out) == (70, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--head", "abc"], "is not a head"),
        (["--head", "x=" + "0" * 64], "is not a head"),
        (["nowhere"], "there is no folder nowhere"),
        (["."], "neither a snapshot nor an archive"),
        (["--head", "5:" + "0" * 64], "is the head of an archive"),
    ],
)
def test_bad_input(arguments: list[str], words: str, vnsync: Run) -> None:
    """One clear line, exit 2."""
    done = vnsync("verify", *arguments)
    assert done.code == 2
    assert words in done.error


def test_no_warehouse(vnsync: Run) -> None:
    """Exit 78 and no file is made."""
    done = vnsync("verify")
    assert done.code == 78
    assert "there is no warehouse" in done.error
    assert not Path("vnsync.db").exists()
