"""G09: remedies that work: following the reported one solves the problem."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from etl.errors import Misconfigured
from etl.snapshot import parquet
from etl.store.engine import open_warehouse
from tests.faults.database.test_storage import back_up, fill, restore, small_disk
from tests.support.checkout import ROOT
from tests.support.fault_clusters import private
from tests.support.running import Outcome, command, environment
from tests.support.scenes import scene


@pytest.mark.fault("G09")
def test_temp_file_limit_postgresql(tmp_path: Path) -> None:
    """A limit of temporary files does not pass by waiting: 74, and the line names the limit and how to raise it."""
    cluster = private()
    name = cluster.new_database()
    with scene(tmp_path / "scene", cluster.url(name), numbers=3_000) as stage:
        assert stage.sync().code == 0
        stage.a_day_passes()
        before = stage.image()
        cluster.execute(f"alter database {name} set temp_file_limit = '64kB'")
        cluster.execute(f"alter database {name} set work_mem = '64kB'")
        line = stage.refused(stage.sync("--no-shortcuts"), 74, says="temporary file size exceeds temp_file_limit")
        assert "SET temp_file_limit = -1" in line
        assert stage.image() == before
        cluster.execute(f"alter database {name} reset temp_file_limit")
        stage.recovers()


@pytest.mark.fault("G09")
def test_full_temporary_folder_sqlite(tmp_path: Path) -> None:
    """SQLite's message does not say which disk is full: the line also names the temporary folder and TMPDIR."""
    with (
        small_disk(tmp_path / "small", "64k") as small,
        scene(tmp_path / "scene", f"sqlite:///{tmp_path / 'warehouse.db'}", numbers=6_000) as stage,
    ):
        assert stage.sync().code == 0
        stage.a_day_passes()
        fill(small)
        words = command(
            "sync", *stage.source.options, "--database-url", stage.url, "--no-shortcuts", "--log-level=error"
        )
        variables = {**environment(), "TMPDIR": str(small)}
        done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=120)
        line = stage.refused(Outcome(done.returncode, done.stdout, done.stderr), 74, says="database or disk is full")
        assert f"in {small}, where SQLite keeps its temporary files (TMPDIR" in line
        stage.recovers()


@pytest.mark.fault("G09")
def test_an_empty_file_sqlite(tmp_path: Path) -> None:
    """An empty file may be a lost one, or one that a container mounts alone and cannot delete: both are mentioned."""
    file = tmp_path / "warehouse.db"
    file.touch()
    with scene(tmp_path / "scene", f"sqlite:///{file}") as stage:
        line = stage.refused(stage.sync(), 70, says="was cut short (0 bytes are left)")
        assert "mount its folder" in line
        file.unlink()
        stage.recovers()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.fault("G09")
def test_an_archive_that_went_on_after_a_restored_backup(database: str, tmp_path: Path) -> None:
    """The archive has runs that the backup undid: its replay says so, and the reported command rebuilds the warehouse
    with the same chain head. `--diff` reports the command that compares the valid runs."""
    url = f"sqlite:///{tmp_path / 'w.db'}" if database == "sqlite" else private().url(private().new_database())
    archive = tmp_path / "archive"
    with scene(tmp_path / "scene", url, customers=2) as stage:

        def days(count: int) -> None:
            for _ in range(count):
                assert stage.sync("--archive", archive).code == 0
                stage.a_day_passes()

        days(2)
        back_up(stage, tmp_path / "backup")
        days(2)
        restore(stage, tmp_path / "backup")
        days(2)
        done = stage.call("replay", archive, url=f"sqlite:///{tmp_path / 'all.db'}")
        line = stage.refused(done, 70, says="a backup was restored before it")
        told = re.search(r"`vnsync replay ARCHIVE ((?:--run \d+ ?)+)`", line)
        assert told is not None, line
        kept = told[1].split()
        assert kept[1::2] == [str(i) for (i,) in stage.rows("select run_id from sync_runs order by run_id")]
        line = stage.refused(stage.call("replay", "--diff", archive), 70, says="the archive holds another history")
        assert f"`vnsync replay --diff ARCHIVE {told[1]}`" in line
        assert stage.call("replay", "--diff", archive, *kept).code == 0
        again = f"sqlite:///{tmp_path / 'again.db'}"
        done = stage.call("replay", archive, *kept, url=again)
        assert done.code == 0, done.err
        heads = [
            {
                a["account_id"]: a["chain_digest"]
                for a in stage.call("status", "--output", "json", url=one).json["accounts"]
            }
            for one in (url, again)
        ]
        assert heads[0] == heads[1] != {}


@pytest.mark.fault("G09")
def test_a_pyarrow_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pyarrow that is installed but broken, as after an upgrade of Python, is an error of this machine, not a bug."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(Misconfigured, match="pyarrow, which cannot be loaded") as caught:
        parquet.require(", or choose --format csv,ndjson")
    assert "--force-reinstall pyarrow`), or choose --format csv,ndjson" in caught.value.remedy


README = (ROOT / "README.md").read_text(encoding="utf-8")
ROLES = (ROOT / "docs" / "postgresql-roles.sql").read_text(encoding="utf-8")


def reader_s(url: str) -> str:
    """The URL of the documented reader of a warehouse; in SQLite the same URL."""
    if url.startswith("sqlite"):
        return url
    name = str(make_url(url).database)
    private().execute(ROLES, name)
    private().execute("grant select on calls to vnsync_reader", name)
    return private().url(name, "vnsync_reader")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.fault("G09")
def test_the_recipe_for_a_million_calls(database: str, tmp_path: Path) -> None:
    """Both recipes of the README, as printed, work with the reader's rights and give the same answers."""
    url = f"sqlite:///{tmp_path / 'w.db'}" if database == "sqlite" else private().url(private().new_database())
    with scene(tmp_path / "scene", url) as stage:
        for _ in range(3):
            assert stage.sync().code == 0
            stage.a_day_passes()
        moment = "timestamptz" if database == "postgresql" else "text"
        with stage.engine.begin() as connection:
            connection.execute(text(f"create table calls (call_time {moment}, phone text)"))
            for which in ("valid_from", "valid_to"):
                each = f"select {which}, virtual_phone_number from virtual_numbers_history where {which} is not null"
                connection.execute(text(f"insert into calls {each}"))
        short, long = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)[:2]
        with open_warehouse(reader_s(url)).connect() as connection:
            *prepared, question = [s for s in long.split(";") if s.strip()]
            for statement in prepared:
                connection.execute(text(statement))
            many = connection.execute(text(question)).all()
            once = connection.execute(text(short.rstrip().rstrip(";"))).all()
    assert len(many) > 40
    assert sorted(map(str, many)) == sorted(map(str, once))
