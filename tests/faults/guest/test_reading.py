"""G10: every reading command works without write access: a standby, a read-only role, file or mount."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from etl.errors import TryLater
from etl.store import read_only
from etl.store.engine import begin_reading, open_warehouse
from tests.support.fault_clusters import Cluster, private, wait_for
from tests.support.scenes import Scene, scene


def read_everything(stage: Scene, url: str, folder: Path) -> dict[str, str]:
    """Output of every reading command for the warehouse at the URL; each must end with 0."""
    account = stage.world.customer_ids[0]
    number = stage.rows("select min(virtual_number_id) from virtual_numbers")[0][0]
    moment = str(stage.rows("select max(observed_at) from account_syncs")[0][0])
    commands = {
        "status": ("status",),
        "status --max-age": ("status", "--max-age", "2d"),
        "verify": ("verify",),
        "changes": ("changes",),
        "history": ("history", number),
        "snapshot": ("snapshot", "--as-of", moment, "--format", "csv", "--out", f"{folder}-snapshot"),
        "report": ("report", "--out", f"{folder}-report.html"),
        "report --account": ("report", "--account", account, "--out", f"{folder}-account.html"),
        "db current": ("db", "current"),
        "db downgrade": ("db", "downgrade", "base"),
        "db rebind": ("db", "rebind", "--to", "https://dataapi.example/v2.0"),
        "erase": ("erase", "--account", account, "--number", number),
    }
    said = {}
    for name, words in commands.items():
        done = stage.call(*words, url=url)
        assert done.code == 0, f"{name}: {done.err}"
        said[name] = done.out
    return said


def refuses_writing(stage: Scene, url: str, code: int, says: str) -> None:
    """Check that a sync is refused in one line, before any request."""
    asked: list[object] = []
    stage.api.after_request.append(asked.append)
    stage.refused(stage.sync(url=url), code, says=says)
    stage.api.after_request.clear()
    assert not asked


def listed(folder: Path) -> dict[str, bytes]:
    """The files of a folder with their content."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


# -- SQLite


@contextmanager
def read_only_mount(folder: Path) -> Iterator[Path]:
    """The folder, mounted again read-only."""
    place = Path(tempfile.mkdtemp(prefix="vnsync-ro-"))
    done = subprocess.run(["mount", "--bind", str(folder), str(place)], capture_output=True)
    if done.returncode:
        place.rmdir()
        pytest.skip("this user may not mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True, capture_output=True)
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scene]:
    """A SQLite warehouse of two days, in its own folder."""
    (tmp_path / "data").mkdir()
    with scene(tmp_path / "scene", f"sqlite:///{tmp_path / 'data' / 'w.db'}") as made:
        assert made.sync().code == 0
        made.a_day_passes()
        assert made.sync().code == 0
        yield made


@pytest.mark.fault("G10")
def test_read_only_mount_sqlite(stage: Scene, tmp_path: Path) -> None:
    """On a read-only mount every reading command gives its usual output; `sync` is exit 74, and so is `doctor`, even if
    other users may read the file."""
    folder = tmp_path / "data"
    (folder / "w.db").chmod(0o644)
    wanted = read_everything(stage, stage.url, tmp_path / "a")
    before = listed(folder)
    with read_only_mount(folder) as place:
        url = f"sqlite:///{place / 'w.db'}"
        assert read_everything(stage, url, tmp_path / "b")["changes"] == wanted["changes"]
        done = stage.call("plan", *stage.source.options, url=url)
        assert done.code == 0, done.err
        refuses_writing(stage, url, 74, "Read-only file system")
        stage.refused(stage.call("db", "upgrade", url=url), 0, 74)
        stage.refused(stage.call("doctor", *stage.source.options, url=url), 74, says="is not writable")
    assert listed(folder) == before


@pytest.mark.fault("G10")
def test_journal_on_a_read_only_mount_sqlite(stage: Scene, tmp_path: Path) -> None:
    """A journal that is not applied yet is read if its index exists; otherwise exit 74 names it and the remedy."""
    folder = tmp_path / "data"
    with closing(sqlite3.connect(folder / "w.db")) as other:
        other.execute("begin")
        other.execute("select count(*) from accounts").fetchall()  # a reader, for which the journal stays
        stage.a_day_passes()
        assert stage.sync().code == 0
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
    assert (copy / "w.db-wal").stat().st_size > 0
    with read_only_mount(copy) as place:
        read_everything(stage, f"sqlite:///{place / 'w.db'}", tmp_path / "a")
    (copy / "w.db-shm").unlink()
    with read_only_mount(copy) as place:
        line = stage.refused(stage.call("status", url=f"sqlite:///{place / 'w.db'}"), 74, says="w.db-wal")
        assert "together with its journal" in line
    assert stage.call("status", url=f"sqlite:///{copy / 'w.db'}").code == 0


@pytest.mark.fault("G10")
def test_connection_writes_nothing_sqlite(stage: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that this user may not write is opened so that SQLite creates no journal for the reader, and refuses
    writes."""
    path = tmp_path / "data" / "w.db"
    before = listed(path.parent)
    monkeypatch.setattr(read_only, "_why_not", lambda _path: "Permission denied")
    engine = open_warehouse(stage.url)
    with begin_reading(engine) as connection:
        assert connection.exec_driver_sql("select count(*) from virtual_numbers").scalar()
        assert listed(path.parent) == before
        with pytest.raises(Exception, match="readonly"):
            connection.exec_driver_sql("delete from accounts")
    assert listed(path.parent) == before


@pytest.mark.fault("G10")
def test_file_that_changes_while_it_is_read_sqlite(
    stage: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without write access is read without locks: if another user writes to it meanwhile, exit 75."""
    closed = read_only.ReadOnlyFile(path=tmp_path / "data" / "w.db", reason="Permission denied")
    with monkeypatch.context() as patch:
        patch.setattr(read_only, "_why_not", lambda _path: closed.reason)
        engine = open_warehouse(stage.url)
    stage.a_day_passes()

    def read() -> None:
        with begin_reading(engine) as connection:
            connection.exec_driver_sql("select count(*) from virtual_numbers").scalar()
            assert stage.sync().code == 0

    with pytest.raises(TryLater, match="was written to while it was read"):
        read()


# -- PostgreSQL


@contextmanager
def standby_of(primary: Cluster) -> Iterator[str]:
    """The socket's folder of a server that follows the primary by streaming replication."""
    copy = Cluster.__new__(Cluster)
    copy.bin, copy.initdb, copy.conf = primary.bin, (), ""
    copy.folder = Path(tempfile.mkdtemp(prefix="vnsync-pg-"))
    copy._own(copy.folder)
    try:
        where = f"host={primary.folder} user=postgres"
        copy._run("pg_basebackup", "-d", where, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        with (copy.data / "postgresql.conf").open("a") as file:
            file.write(f"unix_socket_directories = '{copy.folder}'\nhot_standby = on\n")
        copy.start()
        yield str(copy.folder)
    finally:
        copy.destroy()


@pytest.mark.fault("G10")
def test_standby_postgresql(tmp_path: Path) -> None:
    """On a standby every reading command works, also `verify`; `sync` and `doctor` give exit 69 with the reason."""
    primary = private()
    name = primary.new_database()
    with scene(tmp_path / "scene", primary.url(name)) as stage:
        assert stage.sync().code == 0
        stage.a_day_passes()
        assert stage.sync().code == 0
        wanted = read_everything(stage, stage.url, tmp_path / "a")
        with standby_of(primary) as folder:
            url = primary.url(name, folder=Path(folder))
            said = read_everything(stage, url, tmp_path / "b")
            assert said["changes"] == wanted["changes"]
            assert "Definitions were not compared" in " ".join(said["verify"].split())
            refuses_writing(stage, url, 69, "read-only transaction")
            assert stage.call("doctor", *stage.source.options, url=url).code == 69
            stage.a_day_passes()
            assert stage.sync().code == 0
            later = stage.rows("select count(*) from sync_runs")[0][0]
            there = Scene(stage.source, url)
            wait_for(lambda: there.rows("select count(*) from sync_runs")[0][0] == later, what="replication")
            read_everything(stage, url, tmp_path / "c")


@pytest.mark.parametrize("role", ["pg_read_all_data", "read_only", "no_temporary"])
@pytest.mark.fault("G10")
def test_reading_role_postgresql(role: str, tmp_path: Path) -> None:
    """A role that can only read, by its grants or its settings, can use every reading command."""
    name = private().new_database()
    private().execute(f"drop role if exists g10_{role}; create role g10_{role} login in role pg_read_all_data")
    if role == "read_only":
        private().execute(f"alter role g10_{role} set default_transaction_read_only = on")
    if role == "no_temporary":
        private().execute(f"revoke temporary on database {name} from public")
    with scene(tmp_path / "scene", private().url(name)) as stage:
        assert stage.sync().code == 0
        url = private().url(name, f"g10_{role}")
        read_everything(stage, url, tmp_path / "a")
        refuses_writing(stage, url, 69 if role == "read_only" else 77, "")
