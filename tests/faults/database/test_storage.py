"""B07, B17: a full or read-only database, and a warehouse restored from an old backup; on both databases."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.fault_clusters import private
from tests.support.scenes import Scene, scene


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this system does not let us mount: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill the file system completely."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4_096)
    return ballast


@pytest.mark.fault("B07")
def test_postgresql_disk_full() -> None:
    """The tablespace is full: exit 74, nothing published; with space again the next run does all of it."""
    folder = private().folder / "small"
    with small_disk(folder, "40m"):
        home = folder / "space"
        home.mkdir()
        if user := private().user:
            shutil.chown(home, user, user)
        private().execute(f"create tablespace small location '{home}'")
        name = private().new_database("tablespace small")
        try:
            with scene(private().folder.parent / f"{private().folder.name}-scene", private().url(name)) as made:
                assert made.sync().code == 0
                made.world.add(made.world.customer_ids[0], 2_000)
                before, ballast = made.image(), fill(folder)
                line = made.refused(made.sync(), 74, says="Free space on the database server")
                assert "No space left on device" in line or "could not write init file" in line
                ballast.unlink()
                assert made.image() == before
                made.recovers()
        finally:
            private().execute(f"drop database {name} with (force)")
            private().execute("drop tablespace small")
            shutil.rmtree(private().folder.parent / f"{private().folder.name}-scene", ignore_errors=True)
    folder.rmdir()


@pytest.mark.fault("B07")
def test_sqlite_disk_full(tmp_path: Path) -> None:
    """The file's disk is full: exit 74, nothing published; with space again the next run does all of it."""
    url = f"sqlite:///{tmp_path / 'small' / 'w.db'}"
    with small_disk(tmp_path / "small", "6m") as folder, scene(tmp_path / "scene", url) as made:
        assert made.sync().code == 0
        made.world.add(made.world.customer_ids[0], 2_000)
        before, ballast = made.image(), fill(folder)
        made.refused(made.sync(), 74)
        ballast.unlink()
        assert made.image() == before
        made.recovers()


@pytest.mark.parametrize("database", ["postgresql"])
@pytest.mark.fault("B07")
def test_25006_read_only(database: str, tmp_path: Path) -> None:
    """A read-only database (a standby, or by its default): exit 69 before any request."""
    name = private().new_database()
    with scene(tmp_path / "scene", private().url(name)) as made:
        assert made.sync().code == 0
        private().execute(f"alter database {name} set default_transaction_read_only = on")
        asked: list[object] = []
        made.api.after_request.append(asked.append)
        line = made.refused(made.sync(), 69, says="read-only transaction")
        assert "primary" in line
        assert not asked
        made.api.after_request.clear()
        private().execute(f"alter database {name} reset all")
        made.recovers()


# -- B17


def back_up(made: Scene, to: Path) -> None:
    """Make a backup with the database's own tool, while others write."""
    if made.url.startswith("sqlite"):
        with (
            closing(sqlite3.connect(made.url.removeprefix("sqlite:///"))) as source,
            closing(sqlite3.connect(to)) as copy,
        ):
            source.backup(copy)
        return
    dump = [str(private().bin / "pg_dump"), "--format=custom", f"--file={to}", made.url]
    subprocess.run(dump, check=True)


def restore(made: Scene, backup: Path) -> None:
    """Replace the warehouse by the backup."""
    if made.url.startswith("sqlite"):
        path = Path(made.url.removeprefix("sqlite:///"))
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()
        shutil.copy(backup, path)
        return
    command = ["--clean", "--if-exists", "--exit-on-error", "--single-transaction", f"--dbname={made.url}", str(backup)]
    subprocess.run([str(private().bin / "pg_restore"), *command], check=True)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("when", ["between_runs", "during_a_run"])
@pytest.mark.fault("B17")
def test_restored_from_an_old_backup(database: str, when: str, tmp_path: Path) -> None:
    """An old backup, also one taken during a run with its claims: the next run ends the run that is still marked as
    running, continues from the old state, and `observed_at` grows."""
    url = f"sqlite:///{tmp_path / 'w.db'}" if database == "sqlite" else private().url(private().new_database())
    backup = tmp_path / "backup"
    with scene(tmp_path / "scene", url) as made:
        assert made.sync().code == 0
        made.a_day_passes()

        def during(_request: object) -> None:
            if made.rows("select * from account_claims") and not backup.exists():
                back_up(made, backup)

        if when == "during_a_run":
            made.api.after_request.append(during)
        assert made.sync().code == 0
        made.api.after_request.clear()
        if when == "between_runs":
            back_up(made, backup)
        for _ in range(2):
            made.a_day_passes()
            assert made.sync().code == 0
        restore(made, backup)
        running, old = made.rows("select run_id from sync_runs where status = 'running'"), made.image()
        assert len(running) == len(made.rows("select * from account_claims")) == (when == "during_a_run")
        kept = max(row[0] for row in made.rows("select observed_at from account_syncs"))
        made.recovers()
        assert min(row[0] for row in made.rows("select observed_at from account_syncs order by 1 desc limit 2")) > kept
        for table, rows in old.items():
            if table.endswith("_closed"):
                assert set(map(str, rows)) <= set(map(str, made.image()[table]))
        if running:
            assert made.rows(f"select status from sync_runs where run_id = {running[0][0]}") == [("interrupted",)]
        assert made.call("doctor", *made.source.options).code == 0
