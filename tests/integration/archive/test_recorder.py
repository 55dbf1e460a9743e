"""Archive of `sync --archive`: every response as received, durable before a commit, private, without a secret."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.archive.layout import existing
from etl.archive.manifest import read_manifest
from etl.archive.recorder import Recorder
from etl.domain.recorder import Beginning
from etl.errors import IntegrityBroken, LocalTrouble, Unavailable
from etl.extract.credentials import Login
from etl.load import publish
from etl.sandbox import faults
from etl.sandbox.rpc import Reply, Request
from etl.store.engine import open_warehouse
from tests.support.archive_folders import archived, body, kind, manifest, modes
from tests.support.secrets import CANARY, TRACE, in_files, in_text


def _everything(folder: Path, run_id: int) -> bytes:
    found = manifest(folder, run_id)
    return b"".join(body(folder, r["sha256"]) for r in kind(found, "response") if "sha256" in r)


def test_every_response_is_kept_as_it_was_sent(warehouse: Engine, tmp_path: Path) -> None:
    """The objects are the bodies that the source sent, in order; manifest lines have the request without the key."""
    rig = archived(warehouse, tmp_path / "a", numbers=120)
    sent: list[bytes] = []

    class Overheard(faults.Fault):
        def reply(self, reply: Reply) -> Reply:
            sent.append(reply.body)
            return reply

    rig.api.faults.add(Overheard(), times=None, method=None)
    result = rig.sync(page_limit=50)
    found = manifest(rig.archive or tmp_path, result.run_id)
    responses = kind(found, "response")
    assert [body(tmp_path / "a", r["sha256"]) for r in responses] == sent
    assert [(r["method"], r["params"]) for r in responses] == rig.api.requests
    assert [r["size"] for r in responses] == [len(b) for b in sent]
    assert {r["status"] for r in responses} == {200}
    assert {r.get("account_id") for r in kind(found, "response") if r["method"] == "get.virtual_numbers"} == {rig.only}
    assert not in_text((tmp_path / "a" / "runs" / f"{result.run_id}.jsonl").read_text())


def test_manifest_tells_the_run_and_is_sealed(warehouse: Engine, tmp_path: Path) -> None:
    """The run first, the seal over all earlier bytes last; between them the publications and outcomes."""
    rig = archived(warehouse, tmp_path / "a", customers=2)
    result = rig.sync(max_close_share=0.25)
    text = (tmp_path / "a" / "runs" / f"{result.run_id}.jsonl").read_bytes()
    found = manifest(tmp_path / "a", result.run_id)
    assert (found[0]["kind"], found[0]["run_id"], found[0]["max_close_share"]) == ("run", result.run_id, 0.25)
    whole = text[: text.rstrip(b"\n").rfind(b"\n") + 1]
    assert found[-1] == {"kind": "seal", "lines": len(found) - 1, "sha256": hashlib.sha256(whole).hexdigest()}
    assert {p["account_id"] for p in kind(found, "publishes")} == set(rig.world.customer_ids)
    assert {a["status"] for a in kind(found, "account")} == {"succeeded"}
    assert kind(found, "end")[0]["exit_code"] == 0
    for published in kind(found, "publishes"):
        (account,) = (a for a in result.accounts if a.account_id == published["account_id"])
        assert {n: (c.opened, c.closed) for n, c in account.changes.items()} == {
            n: tuple(c) for n, c in published["changes"].items()
        }


def test_each_manifest_names_the_one_before(warehouse: Engine, tmp_path: Path) -> None:
    """Each manifest names the previous one, so a run cannot be removed from the archive unnoticed."""
    rig = archived(warehouse, tmp_path / "a")
    first, second = rig.sync(), rig.sync()
    text = (tmp_path / "a" / "runs" / f"{first.run_id}.jsonl").read_bytes()
    assert "previous" not in manifest(tmp_path / "a", first.run_id)[0]
    assert manifest(tmp_path / "a", second.run_id)[0]["previous"] == [
        {"run_id": first.run_id, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    ]


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=oct)
def test_files_are_their_owners_alone(warehouse: Engine, tmp_path: Path, umask: int) -> None:
    """Files have mode 0600 and folders 0700, for any umask."""
    before = os.umask(umask)
    try:
        archived(warehouse, tmp_path / "a").sync()
    finally:
        os.umask(before)
    assert modes(tmp_path / "a") == {("d", 0o700), ("f", 0o600)}


def test_logins_are_not_kept(warehouse: Engine, tmp_path: Path) -> None:
    """The answer to a login is a key: neither it nor the password is anywhere in the archive."""
    rig = archived(warehouse, tmp_path / "a")
    result = rig.sync(credentials=Login("sandbox", "sandbox-password"))
    text = (tmp_path / "a" / "runs" / f"{result.run_id}.jsonl").read_bytes()
    kept = text + _everything(tmp_path / "a", result.run_id)
    assert rig.api.count("login.user") == 1
    assert b"sandbox-session" not in kept
    assert b"sandbox-password" not in kept
    assert b"login.user" not in kept


@pytest.mark.parametrize("where", ["error", "result"])
def test_secret_that_the_source_sends_back_is_masked(warehouse: Engine, tmp_path: Path, where: str) -> None:
    """A repeated key is masked in the kept answer, and the manifest marks the response as redacted."""
    rig = archived(warehouse, tmp_path / "a")
    told = faults.error("internal_error", message=f"no {CANARY}") if where == "error" else faults.Deprecated(CANARY)
    rig.api.faults.add(told, times=1)
    result = rig.sync()
    found = manifest(tmp_path / "a", result.run_id)
    assert [r.get("redacted", False) for r in kind(found, "response")].count(True) == 1
    assert TRACE.encode() not in _everything(tmp_path / "a", result.run_id)
    assert b"****" in _everything(tmp_path / "a", result.run_id)


def test_what_did_not_come_is_told(warehouse: Engine, tmp_path: Path) -> None:
    """A request without an answer has a line with the reason and without an object."""
    rig = archived(warehouse, tmp_path / "a")
    rig.api.faults.add(faults.http(502, b"bad gateway"), times=1, method=faults.LISTING)
    result = rig.sync()
    assert result.exit_code == 0
    lost = [r for r in kind(manifest(tmp_path / "a", result.run_id), "response") if "sha256" not in r]
    assert [(r["status"], r["error"]) for r in lost] == [(502, "the source answers HTTP 502")]


class Full:
    """A call that raises "disk full" from the n-th time on."""

    def __init__(self, real: Any, after: int) -> None:
        self.real, self.left = real, after

    def __call__(self, *arguments: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.real(*arguments)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8, 11])
def test_full_disk_publishes_nothing_without_evidence(
    warehouse: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """For any write on a full disk: published data is in the archive, and the archive is readable."""
    rig = archived(warehouse, tmp_path / "a")
    rig.sync()
    rig.world.pass_day(share=0.2)
    before = rig.rows("select * from virtual_numbers_history order by 2, valid_from")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", Full(os.write, after))
        try:
            codes = {a.exit_code for a in rig.sync().accounts}
        except LocalTrouble as exc:
            codes = {exc.exit_code}
    assert codes <= {0, 74}
    run_id = rig.rows("select max(run_id) from sync_runs")[0][0]
    archive = existing(tmp_path / "a")
    if codes == {0}:
        assert [p.account_id for p in read_manifest(archive, run_id).attempts.values()] == [rig.only]
    else:
        assert rig.rows("select * from virtual_numbers_history order by 2, valid_from") == before
        for one in archive.run_ids():
            read_manifest(archive, one)
    assert rig.sync().exit_code == 0


def test_commit_that_fails_is_no_publication(
    warehouse: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive has the publication that was about to be committed, and then its failure."""
    rig = archived(warehouse, tmp_path / "a")

    def fail(*_: object) -> None:
        raise Unavailable("no")

    monkeypatch.setattr(publish, "commit", fail)
    result = rig.sync()
    found = manifest(tmp_path / "a", result.run_id)
    assert [p["account_id"] for p in kind(found, "publishes")] == [rig.only]
    assert [a["status"] for a in kind(found, "account")] == ["failed"]


def test_two_archives_are_byte_for_byte_alike(tmp_path: Path, sqlite_template: Path) -> None:
    """The same answers at the same moments give the same archive: nothing in it depends on the machine."""
    kept = []
    for name in ("a", "b"):
        file = tmp_path / f"{name}.db"
        file.write_bytes(sqlite_template.read_bytes())
        rig = archived(open_warehouse(f"sqlite:///{file}"), tmp_path / name)
        rig.sync()
        files = (p for p in (tmp_path / name).rglob("*") if p.is_file())
        kept.append({p.relative_to(tmp_path / name): p.read_bytes() for p in files})
    assert kept[0] == kept[1]


def test_foreign_folder_is_refused_before_anything_is_asked(warehouse: Engine, tmp_path: Path) -> None:
    """A folder with other content does not become an archive, and no request is spent."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("x")
    rig = archived(warehouse, tmp_path / "a")
    with pytest.raises(LocalTrouble, match="neither empty nor a vnsync archive"):
        rig.sync()
    assert rig.api.requests == []


def test_run_that_is_there_already_is_not_overwritten(warehouse: Engine, tmp_path: Path) -> None:
    """Two warehouses that share an archive and a run id: the second is refused, the first stays."""
    rig = archived(warehouse, tmp_path / "a")
    result = rig.sync()
    path = tmp_path / "a" / "runs" / f"{result.run_id}.jsonl"
    before = path.read_bytes()
    again = Recorder(tmp_path / "a", rig.events.append)
    with pytest.raises(LocalTrouble, match="already"):
        again.begins(Beginning(run_id=result.run_id, source_url="x", version="0", started_at=rig.clock.now()))
    assert path.read_bytes() == before


def test_changed_manifest_is_refused(warehouse: Engine, tmp_path: Path) -> None:
    """An edited, removed or added line is found by the seal."""
    rig = archived(warehouse, tmp_path / "a")
    result = rig.sync()
    path = tmp_path / "a" / "runs" / f"{result.run_id}.jsonl"
    text = path.read_bytes()
    rows = text.splitlines(keepends=True)
    for changed in (
        text.replace(b'"exit_code":0', b'"exit_code":3', 1),
        b"".join([rows[0], *rows[2:]]),
        b"".join([*rows[:2], *rows[1:]]),
        text + b"{}\n",
        text[:-30] + b"\n",
    ):
        path.write_bytes(changed)
        with pytest.raises(IntegrityBroken, match="damaged"):
            read_manifest(existing(tmp_path / "a"), result.run_id)


def test_what_a_crash_leaves_can_be_read(warehouse: Engine, tmp_path: Path) -> None:
    """A manifest cut at any byte gives all its complete lines, as an interrupted run."""
    rig = archived(warehouse, tmp_path / "a")
    result = rig.sync()
    path = tmp_path / "a" / "runs" / f"{result.run_id}.jsonl"
    text = path.read_bytes()
    first = text.index(b"\n") + 1
    for size in range(first, len(text) - 1, 7):
        path.write_bytes(text[:size])
        found = read_manifest(existing(tmp_path / "a"), result.run_id)
        assert not found.sealed
        assert len(found.lines) == text[:size].count(b"\n")


def test_request_in_which_the_source_stops_is_kept(warehouse: Engine, tmp_path: Path) -> None:
    """A failed account has its responses in the archive, too, and its outcome."""
    rig = archived(warehouse, tmp_path / "a", customers=2)
    victim = rig.world.customer_ids[0]

    def of_victim(request: Request) -> bool:
        return request.params.get("user_id") in rig.world.user_ids(victim)

    rig.api.faults.add(faults.error("forbidden"), times=None, method=faults.LISTING, when=of_victim)
    result = rig.sync()
    found = manifest(tmp_path / "a", result.run_id)
    assert {a["account_id"]: a["status"] for a in kind(found, "account")}[victim] == "failed"
    assert [r for r in kind(found, "response") if r.get("account_id") == victim and r["method"] == faults.LISTING]


def test_search_for_the_key_sees_into_objects(tmp_path: Path) -> None:
    """The search after every test finds a key in a compressed file, also in a truncated one."""
    packed = gzip.compress(CANARY.encode() * 50)
    for content in (packed, packed[:-8]):
        (tmp_path / "x.gz").write_bytes(content)
        assert in_files(tmp_path) == [tmp_path / "x.gz"]
    (tmp_path / "x.gz").unlink()
