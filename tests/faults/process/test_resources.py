"""X03 to X07: no memory, no space, broken disks, read-only files, no descriptors: a clear end without loss."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from tests.stress.stage import Images, Stage
from tests.support.processes import halt, playing, refused, resume, traced


def limit(pid: int, what: int, soft: int) -> None:
    """Set a resource limit of a halted process."""
    _, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, hard))


@pytest.mark.fault("X03")
def test_out_of_memory(warehouse_url: str, tmp_path: Path) -> None:
    """A process without memory ends with 74, publishes nothing incomplete, and a run with enough memory succeeds."""
    with playing(warehouse_url, tmp_path, numbers=8000) as play:
        before: Images = {a: {name: set() for name in tables} for a, tables in play.truth().items()}
        pid = halt(play, "elsewhere", 1, only="before request")
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        limit(pid, resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE")) + 9 * 2**20)
        done = resume(play, pid)
        assert re.search("out of memory|no more threads", refused(done, 74))
        play.between(before, play.truth())
        play.converge()


# -- disks


@pytest.mark.parametrize("fault", ["x04-ENOSPC-once", "x04-ENOSPC", "x05-EIO-once", "x05-EIO"])
@pytest.mark.fault("X04", "X05")
def test_disk_fails_while_publishing_sqlite(play_sqlite: Stage, fault: str) -> None:
    """A full or failing disk at some writes of the journal, once or always: 74, and the data does not change."""
    play, (_, error, *once) = play_sqlite, fault.split("-")
    for number in (1, 3):
        before = play.truth()
        play.pass_day()
        pid = halt(play, "publishing")
        when = f"{number}" if once else f"{number}+"
        paths = [f"--trace-path={play.folder}/warehouse.db{suffix}" for suffix in ("", "-wal")]
        with traced(pid, *paths, f"--inject=pwrite64:error={error}:when={when}"):
            done = resume(play, pid)
        assert done.code in (3, 74), done.err
        refused(done, done.code, "SQLite: ")
        play.between(before, play.truth())
        play.converge()


@pytest.mark.fault("X05")
def test_sync_fails_sqlite(play_sqlite: Stage) -> None:
    """A sync that the disk refuses is no success: 74, and unacknowledged data is not there."""
    before = play_sqlite.truth()
    play_sqlite.pass_day()
    pid = halt(play_sqlite, "publishing")
    with traced(pid, "--inject=fdatasync,fsync:error=EIO:when=1+"):
        done = resume(play_sqlite, pid)
    assert "SQLite: disk I/O error" in refused(done, 74)
    play_sqlite.between(before, play_sqlite.truth())
    play_sqlite.converge()


@contextmanager
def mounted(size: str) -> Iterator[Path]:
    """A small file system for the test."""
    folder = Path(tempfile.mkdtemp(prefix="vnsync-small-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("this user may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def remount(folder: Path, options: str) -> None:
    """Change a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.mark.fault("X04")
def test_disk_full_sqlite(tmp_path: Path) -> None:
    """On a full disk the first load ends with 74 and publishes nothing; with space the next run succeeds."""
    with mounted("500k") as folder, playing(f"sqlite:///{folder}/warehouse.db", tmp_path, numbers=2000) as play:
        done = play.run()
        assert done.code in (3, 74)
        refused(done, done.code, "full")
        remount(folder, "size=60m")
        play.converge()


@pytest.mark.fault("X06")
def test_read_only_file_system_sqlite(tmp_path: Path) -> None:
    """A database that cannot be written is detected before any request is spent."""
    with mounted("20m") as folder, playing(f"sqlite:///{folder}/warehouse.db", tmp_path) as play:
        play.converge()
        asked = len(play.api.requests)
        remount(folder, "ro")
        refused(play.run(), 74, "Read-only|readonly")
        assert len(play.api.requests) == asked
        remount(folder, "rw")
        play.pass_day()
        play.converge()


@pytest.mark.fault("X06")
def test_folder_is_missing_or_no_folder_sqlite(tmp_path: Path) -> None:
    """A path that does not exist is detected before any request is spent."""
    (tmp_path / "file").touch()
    for path in ("missing/warehouse.db", "file/warehouse.db"):
        with playing(f"sqlite:///{tmp_path}/{path}", tmp_path) as play:
            refused(play.run(), 74, path)
            assert not play.api.requests


@pytest.mark.fault("X06")
def test_read_only_database_postgresql(new_postgresql: object, postgresql_template: str, tmp_path: Path) -> None:
    """A read-only database is detected before any request is spent."""
    assert callable(new_postgresql)
    with playing(new_postgresql(postgresql_template), tmp_path) as play:
        _read_only(play, "on")
        refused(play.run(), 69, "read-only")
        assert not play.api.requests
        _read_only(play, "off")
        play.converge()


def _read_only(play: Stage, state: str) -> None:
    url = make_url(play.url).set(drivername="postgresql+psycopg")
    with create_engine(url, poolclass=NullPool).connect() as connection:
        connection.execute(text("set session characteristics as transaction read write"))
        connection.commit()
        connection.execute(text(f"alter database {url.database} set default_transaction_read_only = {state}"))
        connection.commit()


# -- descriptors


@pytest.mark.fault("X07")
def test_no_more_descriptors(play: Stage) -> None:
    """A process without free descriptors ends with one clear line, and the next run succeeds."""
    before = play.truth()
    play.pass_day()
    pid = halt(play, "elsewhere", 1, only="before request")
    limit(pid, resource.RLIMIT_NOFILE, len(os.listdir(f"/proc/{pid}/fd")))
    done = resume(play, pid)
    assert done.code in (69, 74)
    refused(done, done.code, "open files|unable to open")
    play.between(before, play.truth())
    play.converge()


@pytest.mark.fault("X07")
def test_no_more_threads(play: Stage) -> None:
    """A process that cannot start a thread ends with one clear line, and the next run succeeds."""
    before = play.truth()
    play.pass_day()
    pid = halt(play, "elsewhere", 1, only="before request")
    with traced(pid, "--inject=clone,clone3:error=EAGAIN"):
        done = resume(play, pid)
    assert re.search("no more threads .*run [0-9]{16}, ", refused(done, 74))
    play.between(before, play.truth())
    play.converge()
