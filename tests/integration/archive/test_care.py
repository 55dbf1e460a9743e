"""Care of an archive: verification, pruning, and the erasure of one number."""

from __future__ import annotations

import copy
import errno
import functools
import os
import random
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from etl.archive import layout
from etl.archive.checking import check_archive
from etl.archive.erasing import erase_number
from etl.archive.heads import ArchiveHead
from etl.archive.layout import existing
from etl.archive.mentions import Sought
from etl.archive.personal import STAND_IN, emptied
from etl.archive.pruning import prune
from etl.errors import IntegrityBroken, LocalTrouble, TryLater, Usage
from etl.replay.rebuild import chosen, replay
from etl.store import migrations
from etl.store.engine import open_warehouse
from tests.support.archive_folders import archived, body, kind, manifest, now
from tests.support.databases import new_database
from tests.support.rig import Rig
from tests.support.running import Run, Source

pytestmark = pytest.mark.usefixtures("clean")

FOUR_DAYS = "four_days_of_care"
"""The database that is copied for each test."""


@pytest.fixture(scope="session")
def four_days(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Rig]:
    """Four archived days of an agency of two: made once for each database, to be copied."""

    @functools.cache
    def make(database: str) -> Rig:
        folder = tmp_path_factory.mktemp(database)
        if database == "postgresql":
            url = new_database(request.getfixturevalue("postgresql_server"), FOUR_DAYS)
        else:
            url = f"sqlite:///{folder / FOUR_DAYS}"
        engine = open_warehouse(url)
        migrations.upgrade(engine)
        made = archived(engine, folder / "a", numbers=40, customers=2)
        for _ in range(4):
            assert made.sync().exit_code == 0
            made.world.pass_day(share=0.1)
        return made

    return make


@pytest.fixture
def rig(database: str, four_days: Callable[[str], Rig], request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """A copy of the four days: warehouse, archive, source and clock."""
    kept = four_days(database)
    assert kept.archive is not None
    shutil.copytree(kept.archive, tmp_path / "a")
    if database == "postgresql":
        engine = open_warehouse(request.getfixturevalue("new_postgresql")(FOUR_DAYS))
    else:
        shutil.copy(str(kept.engine.url.database), tmp_path / "warehouse.db")
        engine = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}")
    world, clock, dice = copy.deepcopy((kept.world, kept.clock, kept.random))
    return Rig(world, engine, clock=clock, random=dice, archive=tmp_path / "a")


def _runs(rig: Rig) -> list[int]:
    return [row[0] for row in rig.rows("select run_id from sync_runs order by started_at")]


def test_whole_archive_has_no_problem(rig: Rig, tmp_path: Path) -> None:
    """An unchanged archive verifies, and its head is returned."""
    found = check_archive(tmp_path / "a")
    assert (found.problems, found.notes, found.runs) == ([], [], 4)
    assert found.head is not None
    assert found.head.startswith(f"{_runs(rig)[-1]}:")


def _mutations(folder: Path, rng: random.Random) -> Callable[[], object]:
    """One random change of one file: a byte, the end, the whole file, or its name."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != layout.MARKER)
    path = rng.choice(files)
    content = path.read_bytes()
    place = rng.randrange(len(content))
    changed = content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]
    return rng.choice(
        [
            lambda: path.write_bytes(changed),
            lambda: path.write_bytes(content[:place]),
            lambda: path.unlink(),
            lambda: path.rename(path.with_name(f"x{path.name}")),
            lambda: path.write_bytes(content + b"x"),
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_every_single_change_is_found(rig: Rig, tmp_path: Path, seed: int) -> None:
    """Each random change of any file is found; a cut at the newest run by the head kept elsewhere."""
    rng = random.Random(seed)
    folder = tmp_path / "a"
    head = check_archive(folder).head
    kept = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for _ in range(25):
        _mutations(folder, rng)()
        if _content(folder) != kept:
            found = check_archive(folder)
            assert found.problems or found.head != head
        for path in [p for p in folder.rglob("*") if p.is_file() and p not in kept]:
            path.unlink()
        for path, content in kept.items():
            path.write_bytes(content)
    assert check_archive(folder).problems == []


def _content(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "name",
    ["objects/zz/", "objects/abc/", "objects/0", "objects/ab/" + "0" * 62, "objects/ab/x.gz", "runs/x", "x/", ".x"],
)
def test_what_vnsync_does_not_write_is_found(rig: Rig, tmp_path: Path, name: str) -> None:
    """Files and folders, also empty ones, are named."""
    path = tmp_path / "a" / name
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if name.endswith("/") else path.write_bytes(b"")
    assert check_archive(tmp_path / "a").problems == [f"{path} does not belong to the archive"]


def test_marker_that_says_more_is_found(rig: Rig, tmp_path: Path) -> None:
    """An extra key of the marker is a problem; the archive can be checked nevertheless."""
    marker = tmp_path / "a" / layout.MARKER
    marker.write_bytes(marker.read_bytes().replace(b"}", b', "x": 1}'))
    assert check_archive(tmp_path / "a").problems == [f"{marker} has more content than vnsync writes"]


@pytest.mark.parametrize(
    ("text", "words"),
    [(b"{}", "missing required field `record`"), (b"[]", "Expected `object`"), (b'{"record":1,"sha256":""}', "digest")],
)
def test_tombstone_that_is_none_is_told_in_words(rig: Rig, tmp_path: Path, text: bytes, words: str) -> None:
    """The problem is described in words, not as an internal error."""
    path = existing(tmp_path / "a").tombstone(1)
    path.write_bytes(text)
    (problem,) = check_archive(tmp_path / "a").problems
    assert problem.startswith(f"{path} is damaged: ")
    assert words in problem


def test_a_manifest_under_another_number_is_named_by_its_file(rig: Rig, tmp_path: Path) -> None:
    """A copied manifest under another run's name is reported with its file name."""
    runs = existing(tmp_path / "a")
    copy = runs.manifest(83_487_414)
    copy.write_bytes(runs.manifest(_runs(rig)[0]).read_bytes())
    assert any(copy.name in problem for problem in check_archive(tmp_path / "a").problems)


def test_run_taken_out_of_the_middle_is_missed(rig: Rig, tmp_path: Path) -> None:
    """The next run's manifest names the missing one."""
    second = _runs(rig)[1]
    existing(tmp_path / "a").manifest(second).unlink()
    assert any(f"run {second} is missing" in p for p in check_archive(tmp_path / "a").problems)


def test_what_a_crash_leaves_is_a_note(rig: Rig, tmp_path: Path) -> None:
    """A response without a manifest and a temporary file are no problems."""
    (tmp_path / "a" / "runs" / ".new-1").write_bytes(b"half")
    existing(tmp_path / "a").manifest(_runs(rig)[-1]).unlink()
    found = check_archive(tmp_path / "a")
    assert found.problems == []
    assert any("belong to no run" in note and "--head" in note for note in found.notes)


def _head(folder: Path) -> ArchiveHead:
    """The archive's head, as `verify` returns it."""
    told = check_archive(folder).head
    assert told is not None
    run_id, _, digest = told.partition(":")
    return ArchiveHead(digest, int(run_id))


def test_kept_head_stays_known_until_its_run_is_taken_away(rig: Rig, tmp_path: Path) -> None:
    """Known: as the last head, as an earlier one, erased or pruned. Unknown: with another run, or cut off."""
    folder, heads = tmp_path / "a", [_head(tmp_path / "a")]
    for work in (
        lambda: rig.sync(),
        lambda: erase_number(folder, *_number(rig)[:2], now=rig.clock.now()),
        lambda: rig.sync(),
        lambda: prune(folder, before=rig.clock.now() - timedelta(hours=30), now=rig.clock.now()),
    ):
        work()
        heads.append(_head(folder))
        kept = [*heads, *(ArchiveHead(h.digest) for h in heads)]
        found = check_archive(folder, kept)
        assert found.problems == []
        assert sum(note.startswith("head ") for note in found.notes) == len(kept)
    elsewhere = ArchiveHead(heads[0].digest, heads[-1].run_id)
    assert any(f"head {elsewhere} matches no run" in p for p in check_archive(folder, [elsewhere]).problems)
    existing(folder).manifest(heads[-1].run_id or 0).unlink()
    assert any(f"head {heads[-1]} matches no run" in p for p in check_archive(folder, heads).problems)


def test_responses_without_any_run_are_a_problem(rig: Rig, tmp_path: Path) -> None:
    """A run's first line is on the disk before its first response, so the runs were deleted; there is no head."""
    for path in existing(tmp_path / "a").runs.iterdir():
        path.unlink()
    found = check_archive(tmp_path / "a")
    assert "the archive holds no run, but " in found.problems[0]
    assert (found.head, found.notes) == (None, [])


def test_nothing_beside_a_damaged_run_is_called_harmless(rig: Rig, tmp_path: Path) -> None:
    """The responses of a damaged run are not reported as remains of a crash; there is no head."""
    path = existing(tmp_path / "a").manifest(_runs(rig)[-1])
    path.write_bytes(path.read_bytes()[:-9] + b"x\n")
    found = check_archive(tmp_path / "a")
    assert (len(found.problems), found.head, found.notes) == (1, None, [])


def test_run_of_an_erasure_is_missed(rig: Rig, tmp_path: Path) -> None:
    """The newest run, which no later run names, is missed, too: the record of the erasure names its response."""
    folder, last = tmp_path / "a", _runs(rig)[-1]
    erase_number(folder, *_number(rig)[:2], now=rig.clock.now())
    existing(folder).manifest(last).unlink()
    assert "erasure 1 names responses that no run names (1)" in check_archive(folder).problems[0]


def test_prune_leaves_a_verifiable_archive_that_goes_on(rig: Rig, tmp_path: Path) -> None:
    """Old runs and their responses are removed, tombstones stay, new runs succeed; a second prune changes nothing."""
    runs, folder = _runs(rig), tmp_path / "a"
    before = rig.clock.now() - timedelta(days=1, hours=1)
    done = prune(folder, before=before, now=rig.clock.now())
    assert done.runs == tuple(runs[:2])
    assert done.responses > 0
    assert done.bytes > 0
    found = check_archive(folder)
    assert (found.problems, found.runs, found.pruned) == ([], 2, 2)
    assert rig.sync().exit_code == 0
    assert check_archive(folder).problems == []
    assert prune(folder, before=before, now=rig.clock.now()).runs == ()
    assert prune(folder, before=rig.clock.now() + timedelta(days=1), now=rig.clock.now()).runs == tuple(runs[2:])
    assert check_archive(folder).problems == []


def test_pruned_archive_replays_into_a_warehouse_of_its_beginning(rig: Rig, tmp_path: Path, new: Any) -> None:
    """From a backup of the time at which the archive begins: the replay gives the same heads."""
    engine = new()
    runs, folder = _runs(rig), tmp_path / "a"
    assert replay(chosen(folder, runs=runs[:2]), engine, report=rig.events.append).mismatches == {}
    prune(folder, before=rig.clock.now() - timedelta(days=1, hours=1), now=rig.clock.now())
    done = replay(chosen(folder), engine, report=rig.events.append)
    assert (done.runs, done.mismatches) == (2, {})


@pytest.fixture
def new(tmp_path: Path, sqlite_template: Path) -> Callable[[], Engine]:
    """Makes an empty SQLite warehouse."""
    from etl.store.engine import open_warehouse

    def make() -> Engine:
        (tmp_path / "new.db").write_bytes(sqlite_template.read_bytes())
        return open_warehouse(f"sqlite:///{tmp_path / 'new.db'}")

    return make


def test_damaged_archive_is_not_pruned(rig: Rig, tmp_path: Path) -> None:
    """A prune could hide the damage, so it is refused."""
    path = existing(tmp_path / "a").manifest(_runs(rig)[0])
    path.write_bytes(path.read_bytes().replace(b"succeeded", b"succeedet", 1))
    with pytest.raises(IntegrityBroken, match=str(_runs(rig)[0])):
        prune(tmp_path / "a", before=rig.clock.now(), now=rig.clock.now())


def _number(rig: Rig) -> tuple[int, int, str]:
    """An account, one of its first numbers, and the number's phone number."""
    account = rig.world.customer_ids[0]
    record = rig.world.truth(account)[0]
    return account, record["id"], record["virtual_phone_number"]


def _kept(folder: Path, runs: list[int]) -> bytes:
    return b"".join(
        body(folder, now(folder, r["sha256"]))
        for run in runs
        for r in kind(manifest(folder, run), "response")
        if "sha256" in r
    )


@pytest.mark.fault("S19")
def test_erased_number_is_nowhere_and_the_archive_tells(rig: Rig, tmp_path: Path, new: Any) -> None:
    """The phone is in no object; the archive verifies, notes the erasure, takes new runs; a replay differs there."""
    folder = tmp_path / "a"
    account, number, phone = _number(rig)
    assert phone.encode() in _kept(folder, _runs(rig))
    before = _content(folder)
    assert erase_number(folder, account, number, now=rig.clock.now(), dry_run=True).runs == 4
    assert _content(folder) == before
    done = erase_number(folder, account, number, now=rig.clock.now())
    assert (done.runs, done.responses) == (4, 4)
    assert phone.encode() not in _kept(folder, _runs(rig))
    found = check_archive(folder)
    assert found.problems == []
    told = f"erasure 1: personal content of number {number} of account {account} was erased from responses (4)"
    assert found.notes[0].startswith(told)
    assert not any("belong to no run" in note for note in found.notes)
    assert rig.sync().exit_code == 0
    assert check_archive(folder).problems == []
    mismatches = replay(chosen(folder), new(), report=rig.events.append).mismatches
    assert set(mismatches) == {account}
    assert "personal content was erased" in mismatches[account].what
    assert erase_number(folder, account, number, now=rig.clock.now()).runs == 1  # content that was sent again
    assert check_archive(folder).problems == []


@pytest.mark.fault("S19")
def test_erasure_without_its_record_is_found(rig: Rig, tmp_path: Path) -> None:
    """A record that is removed or edited is found; a response that was put back is noted."""
    folder = tmp_path / "a"
    account, number, _ = _number(rig)
    originals = _content(folder)
    erase_number(folder, account, number, now=rig.clock.now())
    (record,) = (folder / "erasures").iterdir()
    content = record.read_bytes()
    record.unlink()
    assert "is missing" in check_archive(folder).problems[0]
    record.write_bytes(content.replace(b'"virtual_number_id":', b'"virtual_number_id":1', 1))
    assert check_archive(folder).problems
    record.write_bytes(content)
    back = next(path for path in originals if not path.exists())
    back.write_bytes(originals[back])
    found = check_archive(folder)
    assert (found.problems, found.notes[0]) == (
        [],
        "original responses that were erased from still exist (1): run the erasure again",
    )
    erase_number(folder, account, number, now=rig.clock.now())
    assert not back.exists()


@pytest.mark.parametrize("after", range(0, 14, 2))
@pytest.mark.fault("S19")
def test_erasure_that_breaks_off_is_taken_up(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """For any failing write the archive verifies, and erasing again completes the work."""
    folder = tmp_path / "a"
    account, number, phone = _number(rig)
    left = [after]

    def full(path: Path, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content)

    real = layout.write_private
    with monkeypatch.context() as patch:
        patch.setattr(layout, "write_private", full)
        try:
            erase_number(folder, account, number, now=rig.clock.now())
        except LocalTrouble:
            assert left[0] < 0
    assert check_archive(folder).problems == []
    erase_number(folder, account, number, now=rig.clock.now())
    assert check_archive(folder).problems == []
    assert phone.encode() not in _kept(folder, _runs(rig))


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("other", ["number", "account"])
def test_erasure_of_what_is_not_there_is_refused(rig: Rig, tmp_path: Path, other: str, dry_run: bool) -> None:
    """A wrong id must not look like a completed erasure: unknown numbers and numbers of another account are refused."""
    account, number, _ = _number(rig)
    wrong = (account, 5) if other == "number" else (5, number)
    before = _content(tmp_path / "a")
    with pytest.raises(Usage, match=f"holds no number {wrong[1]} of account {wrong[0]}"):
        erase_number(tmp_path / "a", *wrong, now=rig.clock.now(), dry_run=dry_run)
    assert _content(tmp_path / "a") == before


def test_erasure_of_a_number_without_personal_content(warehouse: Engine, tmp_path: Path) -> None:
    """The number exists, so it is not refused, and there is nothing to erase."""
    rig = archived(warehouse, tmp_path / "a")
    number = rig.world.numbers(rig.only)[0]
    rig.world.put_raw(rig.only, number, b'{"id": %d, "status": "active"}' % number)
    assert rig.sync().accounts[0].quarantined == 1
    done = erase_number(tmp_path / "a", rig.only, number, now=rig.clock.now())
    assert (done.runs, done.earlier) == (0, 0)


def test_erasure_waits_for_a_run_that_may_be_on(rig: Rig, tmp_path: Path) -> None:
    """A manifest without a seal, younger than a day, belongs to a run that may still write."""
    path = existing(tmp_path / "a").manifest(_runs(rig)[-1])
    path.write_bytes(path.read_bytes().rpartition(b'{"kind":"seal"')[0])
    account, number, _ = _number(rig)
    with pytest.raises(TryLater, match="has no seal"):
        erase_number(tmp_path / "a", account, number, now=rig.clock.now())
    assert erase_number(tmp_path / "a", account, number, now=rig.clock.now() + timedelta(days=2)).runs == 4
    assert check_archive(tmp_path / "a").problems == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            b'{"result":{"data":[{"id":7,"comment":"x","campaigns":[]}]}}',
            b'{"id":7,"comment":null,"campaigns":[]}',
        ),
        (b'{"result":{"data":[{"id":7,"new_field":{"a":1}}]}}', b'{"id":7,"new_field":null}'),
        (b'{"result":{"data":[{"id":77,"comment":"x"}]}}', b'{"id":77,"comment":"x"}'),
        (b'{"result":{"data":[{"id": 7 ,"comment":"\\ud800"}]}}', b'{"id": 7 ,"comment":null}'),
        (b'{"result":{"data":[{"id":7,"comment":"x"', STAND_IN),
        (b'{"error":{"message":"\\"id\\":7"}}', STAND_IN),
        (b'{"error":{"message":"\\"id\\":77"}}', b'"error"'),
    ],
)
def test_what_is_personal(text: bytes, wanted: bytes) -> None:
    """Known fields that are not personal stay; all others become null; the rest of the answer does not change."""
    assert wanted in emptied(text, Sought(7)).body


def test_commands(customer: Source, clean: Path, vnsync: Run) -> None:
    """Prune and erase report their work, and verify finds no problem."""
    for _ in range(2):
        assert vnsync("sync", *customer.options, "--archive", "kept").code == 0
    account = customer.world.customer_ids[0]
    number = customer.world.numbers(account)[0]
    asked = ("archive", "erase", "kept", "--account", account, "--number", number)
    assert "2 responses of 2 runs would be erased; nothing was." in vnsync(*asked).out
    done = vnsync(*asked, "--yes", "--output", "json").json
    assert done == {"erased": True, "runs": 2, "responses": 2, "earlier": 0, "whole": [], "quoting": [], "unneeded": 0}
    again = vnsync(*asked, "--yes")
    erased = "0 responses of 0 runs erased.\nThe number was erased from 2 runs earlier."
    assert (again.code, erased in again.out) == (0, True)
    assert vnsync("archive", "prune", "kept", "--keep", "1d").out == "0 runs and 0 responses pruned, 0 bytes.\n"
    assert check_archive(Path("kept")).problems == []
    assert vnsync("archive", "prune", ".", "--keep", "1d").code == 2
