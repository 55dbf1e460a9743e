"""E04, E07: archives and snapshots of unknown origin: little memory, no special files opened, one line of error."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.archive.erasing import erase_number
from etl.clock import SystemClock
from tests.stress.forged_archive import HEADER, Forged, spelled
from tests.support.peaks import MOST, measured
from tests.support.running import Outcome, Run, Source

pytestmark = pytest.mark.usefixtures("clean")

MIB = 2**20


@pytest.fixture
def archive(customer: Source, vnsync: Run) -> Forged:
    """The archive of one sync."""
    assert vnsync("sync", *customer.options, "--archive", "kept").code == 0
    return Forged(Path("kept").absolute())


def _bomb(archive: Forged) -> None:
    """An object of 2 GiB, compressed to 2 MB."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    part = deflater.compress(bytes(16 * MIB)) + deflater.flush(zlib.Z_FULL_FLUSH)
    path = archive.object("ab" * 32)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(HEADER + part * 128 + deflater.flush())


def _endless_line(archive: Forged) -> None:
    """A manifest of one line of a gigabyte, as a sparse file."""
    with archive.manifest(archive.runs()[0]).open("r+b") as file:
        file.truncate(1024 * MIB)


def _rosters(archive: Forged) -> None:
    """A manifest of 25 MB of accounts without users, with a valid seal."""
    (run_id,) = archive.runs()
    lines = archive.lines(run_id)
    roster = {"kind": "roster", "accounts": [[i, []] for i in range(300_000)]}
    archive.write(run_id, [lines[0], *([roster] * 7), *lines[1:]])


def _brackets(archive: Forged) -> None:
    """A line of endless brackets."""
    (run_id,) = archive.runs()
    path = archive.manifest(run_id)
    path.write_bytes(path.read_bytes().replace(b'"params":{', b'"params":{"x":' + b"[" * 3_000_000, 1))


def _large_record(archive: Forged) -> None:
    """A tombstone of a gigabyte."""
    path = archive.folder / "runs" / "1.pruned.json"
    path.touch()
    os.truncate(path, 1024 * MIB)


def _many_erased(archive: Forged) -> None:
    """An erasure of 100 000 missing responses, with a valid digest."""
    entry = {"former": "ab" * 32, "now": "cd" * 32, "records": [[0, "ef" * 32]]}
    archive.erasure(1, 1, [{**entry, "former": hashlib.sha256(b"%d" % i).hexdigest()} for i in range(100_000)])


def _marker(archive: Forged) -> None:
    """A marker of brackets."""
    (archive.folder / "vnsync-archive.json").write_bytes(b"[" * 4_000)


def _many_records(archive: Forged) -> None:
    """An erased answer of 120 MB: a million records of another number."""
    (run_id,) = archive.runs()
    lines = archive.lines(run_id)
    line = next(one for one in lines if one.get("method") == "get.virtual_numbers")
    body = b'{"result":{"data":[' + b",".join([b"{" + b" " * 118 + b"}"] * 990_000) + b"]}}"
    archive.erasure(line["account_id"], 7, [{"former": line["sha256"], "now": archive.put(body), "records": []}])


def _many_values(archive: Forged) -> None:
    """An answer of the listing in which one record holds 18 million empty objects, with valid digest and seal."""
    (run_id,) = archive.runs()
    lines = archive.lines(run_id)
    line = next(one for one in lines if one.get("method") == "get.virtual_numbers")
    record = b'{"id":1,"x":[' + b",".join([b"{}"] * 18_000_000) + b"]}"
    body = b'{"jsonrpc":"2.0","id":%d,"result":{"data":[%b]}}' % (line["request_id"], record)
    line.update(sha256=archive.put(body), size=len(body))
    line.pop("records", None)
    archive.write(run_id, lines)


HOSTILE: list[Callable[[Forged], None]] = [
    _bomb, _endless_line, _rosters, _brackets, _large_record, _many_erased, _marker, _many_records, _many_values
]  # fmt: skip


@pytest.mark.soak
@pytest.mark.parametrize(
    "hostile",
    [pytest.param(h, marks=[] if h in (_bomb, _marker) else pytest.mark.soak) for h in HOSTILE],
    ids=lambda h: h.__name__.strip("_"),
)
@pytest.mark.fault("E04")
def test_hostile_archive_takes_little_memory(archive: Forged, hostile: Callable[[Forged], None]) -> None:
    """`verify` and `replay` stay below the limit, and refuse the archive in one line; a large sound one may pass."""
    hostile(archive)
    for words in (("verify", archive.folder), ("replay", archive.folder, "--database-url", "sqlite:///again.db")):
        done = measured(*words)
        assert done.memory < MOST, (words[0], done)
        assert done.code == 70 or ((done.code, words[0]) == (0, "verify") and hostile in (_rosters, _many_values)), done
        assert len([e for e in done.errors if e.startswith("vnsync: error: ")]) == (done.code != 0)


def _snapshot(customer: Source, vnsync: Run) -> Path:
    assert vnsync("sync", *customer.options).code == 0
    told = vnsync("status", "--output", "json").json["accounts"][0]["observed_at"]
    assert vnsync("snapshot", "--as-of", told, "--out", "shot").code == 0
    return Path("shot").absolute()


def _large_manifest(folder: Path) -> None:
    os.truncate(folder / "manifest.json", 1024 * MIB)


def _manifest_values(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b'{"accounts":[' + b"[]," * (8 * MIB) + b"[]]}")


def _many_notes(folder: Path) -> None:
    path = folder / "manifest.json"
    told = json.loads(path.read_bytes())
    path.write_bytes(json.dumps({**told, "notes": {str(i): "" for i in range(499_000)}}).encode())


def _parquet_bomb(folder: Path) -> None:
    """A file of some KB that holds 500 texts of 2 MB; the manifest agrees."""
    path = folder / "virtual_numbers.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 500), pa.array(["x" * 2 * MIB]))
    pq.write_table(pa.table({"comment": texts}), path, compression="zstd")
    content = path.read_bytes()
    told = json.loads((folder / "manifest.json").read_bytes())
    del told["digest"]
    for file in told["files"]:
        if file["path"] == path.name:
            file.update(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    text = json.dumps(told, indent=1, ensure_ascii=False).removesuffix("\n}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(f'{text},\n "digest": "{digest}"\n}}\n', encoding="utf-8")


@pytest.mark.soak
@pytest.mark.parametrize(
    "hostile", [_large_manifest, _manifest_values, _many_notes, _parquet_bomb], ids=lambda h: h.__name__.strip("_")
)
@pytest.mark.fault("E04")
def test_hostile_snapshot_takes_little_memory(customer: Source, vnsync: Run, hostile: Callable[[Path], None]) -> None:
    """`verify` stays below the limit, and refuses the snapshot in one line."""
    folder = _snapshot(customer, vnsync)
    hostile(folder)
    done = measured("verify", folder)
    assert (done.code, len(done.errors)) == (70, 1), done
    assert done.memory < MOST


# -- special files in place of files


PLACES = [
    "vnsync-archive.json", "runs", "runs/{run}.jsonl", "objects", "objects/{part}", "objects/{part}/{rest}.gz",
    "erasures", "erasures/1.json", "runs/7.pruned.json", "objects/{part}/x",
]  # fmt: skip


def _put(path: Path, thing: str) -> None:
    kept = path.parent.parent / "elsewhere"
    if path.exists():
        path.rename(kept)
    if thing == "fifo":
        os.mkfifo(path)
    elif thing == "link":
        path.symlink_to(kept)
    else:
        path.mkdir()
        (path / "x").touch()


@pytest.mark.parametrize("thing", ["fifo", "link", "folder"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.fault("E07")
def test_anything_else_in_a_files_place_is_one_line(archive: Forged, vnsync: Run, place: str, thing: str) -> None:
    """`verify` and `replay` end at once with 70, and follow no link."""
    (run_id,) = archive.runs()
    lines = archive.lines(run_id)
    first = next(one for one in lines if "sha256" in one and one["kind"] == "response")["sha256"]
    numbers = [one for one in lines if one.get("method") == "get.virtual_numbers"]
    number = json.loads(archive.body(numbers[0]["sha256"]))["result"]["data"][0]["id"]
    erase_number(archive.folder, numbers[0]["account_id"], number, now=SystemClock().now())
    path = archive.folder / place.format(run=run_id, part=first[:2], rest=first[2:])
    _put(path, thing)
    for words in (("verify", archive.folder), ("replay", archive.folder, "--database-url", "sqlite:///again.db")):
        done = vnsync(*words, "--log-level", "error")
        assert done.code == 70, done
        assert path.name[:16] in done.error or first[:16] in done.error or "archive" in done.error
    assert not Path("again.db").exists()


@pytest.mark.parametrize("thing", ["fifo", "link", "folder"])
@pytest.mark.parametrize("name", ["manifest.json", "sites.csv"])
@pytest.mark.fault("E07")
def test_anything_else_in_a_snapshot_is_one_line(customer: Source, vnsync: Run, name: str, thing: str) -> None:
    """`verify` names the file and ends."""
    folder = _snapshot(customer, vnsync)
    _put(folder / name, thing)
    done = vnsync("verify", folder, "--log-level", "error")
    assert done.code == 70
    assert name in done.error


# -- folders that others may write to


def _state(told: Outcome) -> str:
    """`doctor`'s state of the archive."""
    (state,) = (check["state"] for check in told.json["checks"] if check["check"] == "archive")
    return str(state)


def _as_others(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


@pytest.mark.parametrize("part", ["", "runs", "objects"])
@pytest.mark.fault("E07")
def test_archive_that_everybody_may_write_is_refused(customer: Source, vnsync: Run, archive: Forged, part: str) -> None:
    """`sync`, before any request, and `doctor` refuse it; the error names the folder."""
    (archive.folder / part).chmod(0o707)
    asked = customer.api.requests[:]
    done = vnsync("sync", *customer.options, "--archive", archive.folder, "--log-level", "error")
    assert (done.code, customer.api.requests) == (74, asked)
    assert f"{archive.folder / part} is not safe from others: every user may write it" in done.error
    told = vnsync("doctor", *customer.options, "--output", "json", VNSYNC_ARCHIVE=str(archive.folder))
    assert (told.code, _state(told)) == (74, "fail")


@pytest.mark.fault("E07")
def test_archive_that_its_group_may_write_is_told(customer: Source, vnsync: Run, archive: Forged) -> None:
    """`sync` and `doctor` warn, because the group may be intended."""
    archive.folder.chmod(0o770)
    done = vnsync("sync", *customer.options, "--archive", archive.folder)
    assert done.code == 0
    assert f"its group may write to the archive {archive.folder}" in done.err
    told = vnsync("doctor", *customer.options, "--output", "json", VNSYNC_ARCHIVE=str(archive.folder))
    assert (told.code, _state(told)) == (0, "warn")


@pytest.mark.fault("E07")
def test_archive_of_another_user_is_refused(
    customer: Source, vnsync: Run, archive: Forged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive is refused, because its owner could replace the content."""
    owner = archive.folder.stat().st_uid
    if owner == 0:
        for path in (archive.folder, *archive.folder.rglob("*")):
            os.chown(path, 12_345, -1)
    else:
        _as_others(monkeypatch, owner + 1)
    done = vnsync("sync", *customer.options, "--archive", archive.folder, "--log-level", "error")
    assert done.code == 74
    assert "it belongs to another user" in done.error


@pytest.mark.parametrize("part", ["runs", "objects"])
@pytest.mark.fault("E07")
def test_sync_writes_through_no_link(customer: Source, vnsync: Run, archive: Forged, part: str) -> None:
    """A link in place of a folder is refused, and nothing is written to its target."""
    elsewhere = archive.folder.parent / "elsewhere"
    shutil.move(archive.folder / part, elsewhere)
    (archive.folder / part).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    done = vnsync("sync", *customer.options, "--archive", archive.folder, "--log-level", "error")
    assert done.code == 74
    assert "it is a link, not a folder" in done.error
    assert sorted(elsewhere.rglob("*")) == before


def test_spelling_of_the_forger_is_accepted(archive: Forged, vnsync: Run) -> None:
    """An archive spelled by the tests' own code verifies, so the forgeries above fail for their forged parts."""
    (run_id,) = archive.runs()
    archive.write(run_id, archive.lines(run_id))
    assert json.loads(spelled({"b": 1, "a": None})) == {"a": None, "b": 1}
    assert vnsync("verify", archive.folder).code == 0
