"""B11 to B15 in SQLite: another writer, damage, lost journals, replaced files, long readers."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from etl.errors import IntegrityBroken
from etl.store import migrations, schema_check
from etl.store.engine import open_warehouse
from tests.support.scenes import Scene, scene

FLIPS = int(os.environ.get("FAULTS_FLIPS", "25"))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scene]:
    """A file with two synced days, and a third day at the source."""
    with scene(tmp_path / "scene", f"sqlite:///{tmp_path / 'warehouse.db'}?timeout=0.5") as made:
        assert made.sync().code == 0
        made.a_day_passes()
        assert made.sync().code == 0
        made.a_day_passes()
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.db"


def user(path: Path, *statements: str) -> subprocess.Popen[bytes]:
    """Another process that has the file open, has executed these statements, and stays until it is killed."""
    code = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2:]:\n    connection.execute(statement).fetchone()\n"
        "print('ready', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(path), *statements]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


# -- B11


@pytest.mark.parametrize("statement", ["begin immediate", "begin exclusive"])
@pytest.mark.fault("B11")
def test_another_process_writes(statement: str, stage: Scene, path: Path) -> None:
    """Another process holds the write lock: the sync waits for its timeout, then exit 75; the next run publishes."""
    before, other = stage.image(), user(path, statement)
    try:
        line = stage.refused(stage.sync(), 75, says="database is locked")
    finally:
        end(other)
    assert "Another program writes" in line
    assert stage.image() == before
    stage.recovers()


@pytest.mark.fault("B11")
def test_written_between_listing_and_publishing(stage: Scene, path: Path) -> None:
    """A commit of another process while the source is read makes no stale snapshot: the sync publishes."""

    def write(_request: object) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("update accounts set account_name = account_name || '!'")

    stage.api.after_request.append(write)
    done = stage.sync()
    stage.api.after_request.clear()
    assert done.code == 0, done.err
    stage.recovers()


# -- B12


@pytest.mark.parametrize(("size", "code"), [(0, 70), (1, 70), (99, 70), (512, 70), (5_000, 70), (-4_096, 70), (-1, 70)])
@pytest.mark.fault("B12")
def test_truncated(size: int, code: int, stage: Scene, path: Path) -> None:
    """A truncated file is refused with advice, before any request, and is left unchanged."""
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    cut, inode = path.read_bytes(), path.stat().st_ino
    for arguments in (
        ("sync", *stage.source.options),
        ("status",),
        ("db", "upgrade"),
        ("doctor", *stage.source.options),
    ):
        line = stage.refused(stage.call(*arguments), code)
        assert "estore a backup" in line
    assert (path.read_bytes(), path.stat().st_ino) == (cut, inode)
    path.write_bytes(whole)
    stage.recovers()


@pytest.mark.fault("B12")
def test_not_a_database(stage: Scene, path: Path) -> None:
    """Any other file is refused and not changed."""
    whole = path.read_bytes()
    path.write_bytes(b"number;name\n" * 2_000)
    stage.refused(stage.sync(), 70, says="not a database")
    assert path.read_bytes() == b"number;name\n" * 2_000
    path.write_bytes(whole)
    stage.recovers()


def flip(path: Path, places: list[int], chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for place in places:
        data[place] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


@pytest.mark.fault("B12")
def test_a_thousand_flipped_bytes(stage: Scene, path: Path) -> None:
    """A file with a thousand random bits flipped is refused, by `sync` and by `doctor`."""
    chance, whole = random.Random(12), path.read_bytes()
    flip(path, chance.sample(range(100, len(whole)), 1_000), chance)
    damaged = path.read_bytes()
    stage.refused(stage.sync(), 70)
    stage.refused(stage.call("doctor", *stage.source.options), 70)
    assert abs(path.stat().st_size - len(damaged)) <= 40_960
    path.write_bytes(whole)
    stage.recovers()


@pytest.mark.soak
@pytest.mark.fault("B12")
def test_single_flipped_bytes(stage: Scene, path: Path) -> None:
    """One flipped bit anywhere (25 of them; FAULTS_FLIPS=1000 for the stress run): never a bug's exit code, never a new
    file; exit 70 if the damage is read; published data equal the source."""
    chance, whole = random.Random(21), path.read_bytes()
    outcomes: dict[int, int] = {}
    for _ in range(FLIPS):
        path.write_bytes(whole)
        place = chance.randrange(len(whole))
        flip(path, [place], chance)
        inode = path.stat().st_ino
        done = stage.sync()
        outcomes[done.code] = outcomes.get(done.code, 0) + 1
        assert done.code in (0, 3, 70, 74, 75, 78), f"byte {place}: {done.err}"
        assert path.stat().st_ino == inode
        assert path.stat().st_size >= len(whole) // 2, f"byte {place}"
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(whole)
    stage.recovers()
    print(outcomes)  # noqa: T201 - the result of the stress run


# -- B13


def hot(stage: Scene, path: Path) -> None:
    """Sync a day while a reader has the previous one open; the reader is killed, so the journal stays."""
    reader = user(path, "begin", "select count(*) from virtual_numbers")
    done = stage.sync()
    end(reader)
    assert done.code == 0, done.err
    assert Path(f"{path}-wal").stat().st_size > 0


@pytest.mark.parametrize("gone", ["-wal", "-shm", "-wal -shm"])
@pytest.mark.fault("B13")
def test_journal_deleted(gone: str, stage: Scene, path: Path) -> None:
    """A deleted journal of a killed process damages no page of the file: the rest is a complete state, at worst the
    previous one, from which the next run continues."""
    before = stage.image()
    hot(stage, path)
    held = shutil.copytree(path.parent, path.parent / "copy", ignore=lambda *_: ["scene"])
    copy = Scene(stage.source, f"sqlite:///{held / path.name}")
    after = copy.image()
    for suffix in gone.split():
        Path(f"{path}{suffix}").unlink()
    assert stage.image() in ((before, after) if "-wal" in gone else (after,))
    stage.recovers()


@pytest.mark.fault("B13")
def test_orphaned_journal(stage: Scene, path: Path, tmp_path: Path) -> None:
    """An old copy replaces the file beside the newer one's journal, and SQLite would mix the two. If they do not fit:
    exit 70 with advice; if they do, the invariants hold."""
    old = tmp_path / "old.db"
    shutil.copy(path, old)
    for _ in range(3):
        assert stage.sync().code == 0
        stage.a_day_passes()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("vacuum")
    hot(stage, path)
    shutil.copy(old, path)
    done = stage.sync()
    if done.code:
        line = stage.refused(done, 70)
        assert "estore a backup" in line
    else:
        stage.recovers()


@pytest.mark.fault("B13")
def test_file_replaced_while_open(stage: Scene, path: Path, tmp_path: Path) -> None:
    """Another file replaces the warehouse during a run: the run does not succeed, and neither file is half-written."""
    other = tmp_path / "other.db"
    migrations.upgrade(open_warehouse(f"sqlite:///{other}"))
    aside = tmp_path / "aside.db"
    before = stage.image()

    def replace(_request: object) -> None:
        if not aside.exists():
            path.rename(aside)
            other.rename(path)

    stage.api.after_request.append(replace)
    done = stage.sync()
    stage.api.after_request.clear()
    stage.refused(done, 70, 75)
    aside.rename(path)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    assert stage.image() == before
    stage.recovers()


# -- B14


@pytest.mark.fault("B14")
def test_no_wal(tmp_path: Path, path: Path) -> None:
    """If SQLite cannot use its WAL (here: locks without shared memory, as on network drives), there is a warning."""
    migrations.upgrade(open_warehouse(f"sqlite:///{path}"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode=delete")
    name = f"file:{path}?vfs=unix-dotfile"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(name, uri=True), poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("pragma journal_mode=wal").scalar() == "delete"
    (warning,) = schema_check.check(engine)
    assert "journal mode is delete" in warning
    assert schema_check.check(open_warehouse(f"sqlite:///{path}")) == []


# -- B15


@pytest.mark.fault("B15")
def test_long_reader_of_the_file(stage: Scene, path: Path) -> None:
    """A reader that keeps its snapshot open blocks no run, and its results do not change."""
    reader = sqlite3.connect(path, isolation_level=None)
    with closing(reader):
        reader.execute("begin")
        count = "select count(*), max(valid_from) from virtual_numbers_history"
        before = reader.execute(count).fetchall()
        for _ in range(2):
            assert stage.sync().code == 0
            stage.a_day_passes()
        assert reader.execute(count).fetchall() == before
    stage.recovers()


@pytest.mark.fault("B12")
def test_new_file_appears_whole(tmp_path: Path) -> None:
    """A new warehouse's file never has zero bytes, so that an emptied one can be distinguished."""
    path = tmp_path / "new.db"
    open_warehouse(f"sqlite:///{path}")
    assert path.stat().st_size > 0
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert [p.name for p in tmp_path.iterdir()] == ["new.db"]
    path.write_bytes(b"")
    with pytest.raises(IntegrityBroken, match="0 bytes"):
        open_warehouse(f"sqlite:///{path}")
