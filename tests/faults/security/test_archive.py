"""S03, S14, S21: content of an archive and access to it: no key, no other reader, no forged page."""

from __future__ import annotations

import gzip
import hashlib
import json
import stat
import subprocess
from pathlib import Path

import pytest

from etl.sandbox import faults
from tests.support.archive_folders import body, kind, manifest
from tests.support.running import Run, Source, command, environment
from tests.support.secrets import CANARY, TRACE

pytestmark = pytest.mark.usefixtures("clean")


def _lines(folder: Path) -> list[dict[str, object]]:
    (path,) = (folder / "runs").glob("*.jsonl")
    return manifest(folder, int(path.stem))


def _archived(customer: Source, vnsync: Run) -> Path:
    done = vnsync("sync", *customer.options, "--archive", "kept")
    assert done.code == 0, done.err
    return Path("kept")


@pytest.mark.fault("S03")
def test_key_that_the_source_sends_back_is_not_archived(customer: Source, vnsync: Run, clean: Path) -> None:
    """Keys in errors and results are masked and marked; request bodies are not archived."""
    customer.api.faults.add(faults.error("internal_error", message=f"key {CANARY}"), times=1)
    customer.api.faults.add(faults.Deprecated(latest=CANARY), times=None)
    folder = _archived(customer, vnsync)
    responses = kind(_lines(folder), "response")
    content = b"".join(body(folder, str(r["sha256"])) for r in responses if "sha256" in r)
    assert TRACE.encode() not in content
    assert content.count(b"****") >= 2
    assert b"access_token" not in content + b"".join(p.read_bytes() for p in (folder / "runs").iterdir())
    assert sum(bool(r.get("redacted")) for r in responses) >= 2


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=oct)
@pytest.mark.fault("S14")
def test_archive_is_its_owners_alone(customer: Source, clean: Path, umask: int) -> None:
    """For any umask of the process: files 0600, folders 0700."""
    words = command("sync", *customer.options, "--archive", "deep/kept")
    done = subprocess.run(words, env=environment(), umask=umask, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    there = [clean / "deep" / "kept", *(clean / "deep" / "kept").rglob("*")]
    assert {stat.S_IMODE(p.stat().st_mode) for p in there if p.is_dir()} == {0o700}
    assert {stat.S_IMODE(p.stat().st_mode) for p in there if p.is_file()} == {0o600}


def test_folders_are_made_for_archives_and_snapshots_only(customer: Source, vnsync: Run, clean: Path) -> None:
    """With their parent folders; a warehouse or a report in a missing folder is refused, and makes none."""
    assert vnsync("sync", *customer.options, "--archive", "new/deep/kept").code == 0
    told = vnsync("status", "--output", "json").json["accounts"][0]["observed_at"]
    assert vnsync("snapshot", "--as-of", told, "--out", "shots/deep/one", "--format", "csv").code == 0
    for folder in ("new/deep/kept", "shots/deep/one"):
        assert {stat.S_IMODE(p.stat().st_mode) for p in Path(folder).rglob("*") if p.is_file()} == {0o600}
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert vnsync("report", "--out", "none/report.html").code == 74
    assert vnsync("sync", *customer.options, "--database-url", "sqlite:///none/x.db").code != 0
    assert not (clean / "none").exists()


def _forge(path: Path, old: bytes, new: bytes) -> bytes:
    content = gzip.decompress(path.read_bytes()).replace(old, new)
    path.write_bytes(gzip.compress(content, mtime=0))
    return content


@pytest.mark.parametrize("how", ["page", "page_and_name", "page_name_and_line"])
@pytest.mark.fault("S21")
def test_forged_page_is_refused(customer: Source, vnsync: Run, clean: Path, how: str) -> None:
    """A page edited in place, renamed to its new digest, or entered in the manifest: replay writes nothing."""
    folder = _archived(customer, vnsync)
    (listing,) = (r for r in kind(_lines(folder), "response") if r["method"] == faults.LISTING)
    old = str(listing["sha256"])
    path = folder / "objects" / old[:2] / f"{old[2:]}.gz"
    content = _forge(path, b'"active"', b'"locked"')
    new = hashlib.sha256(content).hexdigest()
    if how != "page":
        (folder / "objects" / new[:2]).mkdir(exist_ok=True)
        path.rename(folder / "objects" / new[:2] / f"{new[2:]}.gz")
    if how == "page_name_and_line":
        (run,) = (folder / "runs").iterdir()
        run.write_text(run.read_text().replace(old, new))
    done = vnsync("replay", "kept", "--database-url", "sqlite:///again.db", "--log-level", "error")
    assert done.code == 70
    assert old[:16] in done.error or "damaged" in done.error
    assert not (clean / "again.db").exists()
    assert vnsync("verify", "kept", "--log-level", "error").code == 70


@pytest.mark.fault("S21")
def test_page_of_another_run_departs(customer: Source, vnsync: Run, clean: Path) -> None:
    """A completely forged manifest with its seal: the replay gives another chain digest."""
    folder = _archived(customer, vnsync)
    (run,) = (folder / "runs").iterdir()
    rows = run.read_bytes().splitlines(keepends=True)
    (listing,) = (r for r in kind(_lines(folder), "response") if r["method"] == faults.LISTING)
    old = str(listing["sha256"])
    path = folder / "objects" / old[:2] / f"{old[2:]}.gz"
    content = gzip.decompress(path.read_bytes()).replace(b'"active"', b'"locked"')
    new = hashlib.sha256(content).hexdigest()
    (folder / "objects" / new[:2]).mkdir(exist_ok=True)
    header = path.read_bytes()[:10]
    packed = gzip.compress(content, mtime=0)
    (folder / "objects" / new[:2] / f"{new[2:]}.gz").write_bytes(header + packed[10:])
    path.unlink()
    whole = b"".join(row.replace(old.encode(), new.encode()) for row in rows[:-1])
    seal = json.loads(rows[-1]) | {"sha256": hashlib.sha256(whole).hexdigest()}
    run.write_bytes(whole + json.dumps(seal).encode() + b"\n")
    done = vnsync("replay", "kept", "--database-url", "sqlite:///again.db", "--log-level", "error")
    assert done.code == 70
    assert "another chain digest" in done.error
