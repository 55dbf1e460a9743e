"""Snapshots: each has the API's truth of its day, the same bytes every time, is complete or absent, and is checked."""

from __future__ import annotations

import csv
import gc
import json
import os
import platform
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from sqlalchemy import Engine, text

from etl.errors import IntegrityBroken, LocalTrouble, Usage
from etl.sandbox.world import CustomerPlan, World
from etl.snapshot import write
from etl.snapshot.check import Problem, check
from etl.snapshot.csv_text import RULE, original
from etl.snapshot.manifest import loads
from etl.snapshot.rows import batches
from etl.snapshot.write import write_snapshot
from etl.store.engine import open_warehouse
from etl.store.relations import relation, relations
from tests.support import oracle
from tests.support.rig import FakeClock, Rig
from tests.support.sqlish import SQLISH
from tests.support.story import number, tell

FORMATS = ("parquet", "csv", "ndjson")


# -- reading a snapshot back, as its readers do


def _unquoted(line: str) -> list[str | None]:
    """The fields of a CSV line by the documented rule: an empty field without quotes is null."""
    (values,) = csv.reader([line], strict=True)
    bare, rest = [], line.rstrip("\n")
    while True:
        quoted = rest.startswith('"')
        end = 0
        if quoted:
            end = 1
            while rest[end : end + 1] != '"' or rest[end : end + 2] == '""':
                end += 2 if rest[end : end + 2] == '""' else 1
            end += 1
        else:
            end = rest.find(",") if "," in rest else len(rest)
        bare.append(not quoted)
        if end >= len(rest):
            break
        rest = rest[end + 1 :]
    return [None if plain and not v else v if plain else original(v) for plain, v in zip(bare, values, strict=True)]


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    content = path.read_text(encoding="utf-8")
    lines = content.split("\n")
    names = next(csv.reader([lines[0]]))
    for line in lines[1:-1]:
        yield dict(zip(names, _unquoted(line), strict=True))


def _rows(folder: Path, table: str, kind: str) -> list[dict[str, Any]]:
    path = folder / f"{table}.{kind}"
    if kind == "parquet":
        return list(pyarrow.parquet.read_table(path).to_pylist())
    if kind == "ndjson":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return list(_csv_rows(path))


def _typed(value: Any, column: str, kind: str) -> Any:
    if value is None:
        return None
    if column == "extra":
        return json.dumps(json.loads(value) if kind != "ndjson" else value, sort_keys=True)
    if kind == "csv" and column.startswith("is_"):
        return value == "true"
    if kind == "csv" and column.endswith("_id"):
        return int(value)
    return value


def tables_of(folder: Path, account_id: int, kind: str) -> oracle.Tables:
    return {
        name: {
            tuple(_typed(row[c], c, kind) for c in columns.split(", "))
            for row in _rows(folder, name, kind)
            if int(row["account_id"]) == account_id
        }
        for name, columns in oracle.COLUMNS.items()
    }


# -- the days


def _days(engine: Engine, days: int, numbers: int) -> tuple[Rig, list[tuple[datetime, dict[int, oracle.Tables]]]]:
    plans = [CustomerPlan(numbers=numbers, timezone="Asia/Tokyo"), CustomerPlan(numbers=numbers // 3)]
    rig = Rig(World(seed=8, customers=plans, role="agent", id_step=7), engine)
    lived = []
    for _ in range(days):
        assert rig.sync().exit_code == 0
        truth = {a: oracle.expected(rig.world.truth(a)) for a in rig.world.customer_ids}
        lived.append((rig.clock.now() + timedelta(hours=1), truth))
        rig.world.pass_day(share=0.1)
    return rig, lived


@pytest.mark.soak
def test_a_snapshot_of_each_of_30_days_is_that_day_s_truth(warehouse: Engine, tmp_path: Path) -> None:
    """The tables have the API's answers of that day, as the oracle computes them, in one format each day.

    At 20 000 numbers: `python -m benchmarks.snapshots URL`.
    """
    rig, lived = _days(warehouse, 30, 45)
    for day, (moment, truth) in enumerate(lived):
        folder, kind = tmp_path / f"day{day}", FORMATS[day % 3]
        write_snapshot(warehouse, moment, folder, (kind,))
        for account_id in rig.world.customer_ids:
            assert not oracle.differences(tables_of(folder, account_id, kind), truth[account_id]), (day, kind)
    names = {row["account_id"]: row["account_name"] for row in _rows(folder, "accounts", kind)}
    assert names == {a: rig.world.customer(a).name for a in rig.world.customer_ids}


def test_the_same_moment_gives_the_same_bytes_on_both_databases(
    tmp_path: Path, sqlite_template: Path, postgresql_template: str, new_postgresql: Any
) -> None:
    """Later syncs do not change the files, and the other database writes identical ones."""
    shutil.copy(sqlite_template, tmp_path / "w.db")
    urls = {"sqlite": f"sqlite:///{tmp_path / 'w.db'}", "postgresql": new_postgresql(postgresql_template)}
    for name, url in urls.items():
        engine = open_warehouse(str(url))
        rig, lived = _days(engine, 3, 40)
        moment = lived[1][0]
        write_snapshot(engine, moment, tmp_path / name, FORMATS)
        write_snapshot(engine, moment, tmp_path / f"{name}-history", FORMATS, history=True)
        rig.sync()
        write_snapshot(engine, moment, tmp_path / f"{name}-again", FORMATS)
        write_snapshot(engine, moment, tmp_path / f"{name}-history-again", FORMATS, history=True)
        assert _bytes(tmp_path / name) == _bytes(tmp_path / f"{name}-again")
        assert _bytes(tmp_path / f"{name}-history") == _bytes(tmp_path / f"{name}-history-again")
    assert _bytes(tmp_path / "sqlite") == _bytes(tmp_path / "postgresql")
    assert _bytes(tmp_path / "sqlite-history") == _bytes(tmp_path / "postgresql-history")


def test_one_history_holds_the_truth_of_every_day(warehouse: Engine, tmp_path: Path) -> None:
    """The versions valid at a day's moment equal the API's answers of that day, in each format."""
    rig, lived = _days(warehouse, 4, 30)
    rig.sync()
    write_snapshot(warehouse, lived[-1][0], tmp_path / "history", FORMATS, history=True)
    write_snapshot(warehouse, lived[1][0], tmp_path / "earlier", FORMATS, history=True)
    for day, (moment, truth) in enumerate(lived):
        kind = FORMATS[day % 3]
        for account_id in rig.world.customer_ids:
            then = _valid(tmp_path / "history", account_id, kind, moment)
            assert not oracle.differences(then, truth[account_id]), (day, kind)
    ends = [row["valid_to"] for kind in FORMATS for row in _rows(tmp_path / "earlier", "virtual_numbers_history", kind)]
    assert None in ends
    assert all(end is None or _instant(end) <= lived[1][0] for end in ends)
    assert check(tmp_path / "history", warehouse).problems == check(tmp_path / "earlier", warehouse).problems == ()


def _valid(folder: Path, account_id: int, kind: str, moment: datetime) -> oracle.Tables:
    """The versions of a history that are valid at a moment, without their ends."""
    found: oracle.Tables = {}
    for name, columns in oracle.COLUMNS.items():
        rows = [row for row in _rows(folder, f"{name}_history", kind) if int(row["account_id"]) == account_id]
        begun = [row for row in rows if _instant(row["valid_from"]) <= moment]
        valid = [row for row in begun if row["valid_to"] is None or moment < _instant(row["valid_to"])]
        found[name] = {tuple(_typed(row[c], c, kind) for c in columns.split(", ")) for row in valid}
    return found


def _instant(value: str | datetime) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def test_an_edited_history_is_found(told: Engine, tmp_path: Path) -> None:
    """Found: a closed version that was edited in the warehouse, and a file of the other kind of snapshot."""
    moment, folder = FakeClock().now() + timedelta(days=9), tmp_path / "history"
    write_snapshot(told, moment, folder, FORMATS, history=True)
    assert check(folder, told).problems == ()
    with told.begin() as connection:
        changed = connection.execute(text("update virtual_numbers_closed set status = 'edited'")).rowcount
    assert changed
    found = {problem.where for problem in check(folder, told).problems}
    assert found == {f"virtual_numbers_history.{kind}" for kind in FORMATS}
    (folder / "sites.csv").touch()
    assert Problem(where="sites.csv", what="is not in the manifest") in check(folder, None).problems


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


HOSTILE = ["=1+1", "'=1", "", 'quote " and ""', "line\nend", "\u2028", "\x85", "a,b;=c", *SQLISH]


@pytest.fixture
def taken(warehouse: Engine, tmp_path: Path) -> Path:
    """A snapshot of numbers with hostile comments and unknown fields."""
    numbers = [number(i, f"+7{i:04}", comment=c, tariff={"b": 1.5, "a": [c]}) for i, c in enumerate(HOSTILE, start=1)]
    tell(warehouse, {"2026-01-06": [*numbers, number(1000, "7", comment=None)]})
    write_snapshot(warehouse, FakeClock().now() + timedelta(days=1), tmp_path / "taken", FORMATS)
    return tmp_path / "taken"


@pytest.mark.parametrize("kind", ["parquet", "ndjson"])
def test_every_text_survives(taken: Path, kind: str) -> None:
    """Null, empty text, quotes, line ends, texts like SQL or a formula: all are read back unchanged."""
    rows = _rows(taken, "virtual_numbers", kind)
    assert [row["comment"] for row in rows] == [*HOSTILE, None]
    extras = [row["extra"] if kind == "ndjson" or not row["extra"] else json.loads(row["extra"]) for row in rows]
    assert [extra["tariff"] for extra in extras if extra] == [{"a": [c], "b": 1.5} for c in HOSTILE]


def test_every_text_survives_csv_and_is_no_formula(taken: Path) -> None:
    """CSV texts follow the rule in the manifest: null is bare, empty text is quoted, and no cell is a formula."""
    content = (taken / "virtual_numbers.csv").read_text(encoding="utf-8")
    with open(taken / "virtual_numbers.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [original(row["comment"]) for row in rows] == [*HOSTILE, ""]
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert ',"va","",' in content
    assert content.splitlines()[-1].startswith('7,1000,,"7",,,"active","usual","va",,,,"2026')
    assert json.loads((taken / "manifest.json").read_bytes())["notes"]["csv"] == RULE


def test_the_manifest_names_observations_and_files(warehouse: Engine, taken: Path) -> None:
    """The moment, each account's last observation and chain head, and each file with its digest, size and rows."""
    told = json.loads((taken / "manifest.json").read_text(encoding="utf-8"))
    assert (told["as_of"], told["format_version"]) == ("2026-01-06T06:00:00.000000Z", 1)
    with warehouse.connect() as connection:
        digest = connection.scalar(text("select chain_digest from account_syncs"))
    assert told["accounts"] == [{"account_id": 7, "observed_at": "2026-01-06T06:00:00.000000Z", "chain_digest": digest}]
    assert len(told["files"]) == 27
    rows = {file["path"]: file["rows"] for file in told["files"]}
    assert (rows["virtual_numbers.csv"], rows["accounts.parquet"], rows["sites.ndjson"]) == (len(HOSTILE) + 1, 1, 0)


def test_files_say_what_they_hold(taken: Path) -> None:
    """The sentence of each table and column is in the manifest and in the metadata of Parquet files and columns."""
    tables = json.loads((taken / "manifest.json").read_text(encoding="utf-8"))["tables"]
    assert [table["name"] for table in tables] == [relation.name for relation in relations()[:9]]
    for table in tables:
        known = {column.name: column.meaning.sentence for column in relation(table["name"]).columns}
        schema = pyarrow.parquet.read_schema(taken / f"{table['name']}.parquet")
        assert list(table["columns"]) == schema.names
        assert table["columns"].items() <= known.items()
        assert {field.name: field.metadata[b"description"].decode() for field in schema} == table["columns"]
        about = pyarrow.parquet.read_metadata(taken / f"{table['name']}.parquet").metadata
        assert about[b"description"].decode() == table["description"] == relation(table["name"]).sentence
        assert json.loads(about[b"columns"]) == table["columns"]


def test_nobody_else_may_read_it(taken: Path) -> None:
    """The folder has mode 0700 and the files 0600, for any umask."""
    assert stat.S_IMODE(taken.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in taken.iterdir()} == {0o600}


# -- complete or absent


def test_an_interrupted_snapshot_leaves_nothing(told: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after half of the tables, or out of space: no folder, no part of one, and no writer that continues."""
    for error, raised in ((KeyboardInterrupt(), KeyboardInterrupt), (OSError(28, "No space left"), LocalTrouble)):
        monkeypatch.setattr(write, "batches", _breaking_off(error))
        with pytest.raises(raised):
            write_snapshot(told, FakeClock().now() + timedelta(days=3), tmp_path / "out", ("parquet", "csv"))
        gc.collect()  # a writer collected after its file was closed warns, which is an error here
        assert [*tmp_path.glob("*out*"), *tmp_path.glob(".*out*")] == []


def test_what_a_killed_snapshot_left_is_removed_by_the_next(told: Engine, tmp_path: Path) -> None:
    """A dead process's hidden folder has names and phone numbers; one of a live process or another machine is kept."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    pids = {"dead": f"{platform.node()}-{ended.pid}", "alive": f"{platform.node()}-{os.getppid()}", "far": "far-1"}
    left = {name: tmp_path / f".out.partial-{pid}" for name, pid in pids.items()}
    for folder in left.values():
        folder.mkdir()
        (folder / "virtual_numbers.csv").write_text("x")
    write_snapshot(told, FakeClock().now() + timedelta(days=3), tmp_path / "out", ("csv",))
    assert [name for name, folder in left.items() if folder.exists()] == ["alive", "far"]


def _breaking_off(error: BaseException) -> Any:
    """A reader that fails at the sixth table."""
    calls = iter(range(100))

    def read(*arguments: Any) -> Any:
        if next(calls) == 5:
            raise error
        return batches(*arguments)

    return read


def test_a_folder_that_is_there_is_left_alone(told: Engine, tmp_path: Path) -> None:
    """An empty folder is used; a folder with content, a file and a link are refused."""
    moment = FakeClock().now() + timedelta(days=3)
    (tmp_path / "empty").mkdir()
    write_snapshot(told, moment, tmp_path / "empty", ("csv",))
    assert (tmp_path / "empty" / "manifest.json").exists()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("empty", "file", "link"):
        with pytest.raises(Usage, match="already exists"):
            write_snapshot(told, moment, tmp_path / name, ("csv",))


# -- checking


def test_a_good_snapshot_has_no_problem(warehouse: Engine, taken: Path) -> None:
    """A good snapshot has no problem, with and without the warehouse."""
    assert check(taken, None).problems == ()
    assert check(taken, warehouse).problems == ()


def test_every_edited_byte_is_found_and_its_file_named(taken: Path) -> None:
    """A single byte of any file, also of the manifest, that is changed, added or cut off."""
    dice = random.Random(3)
    for path in sorted(taken.iterdir()):
        content = path.read_bytes()
        for _ in range(8):
            place = dice.randrange(len(content)) if content else 0
            flipped = bytes([content[place] ^ (1 << dice.randrange(8))]) if content else b"x"
            for edited in (content[:place] + flipped + content[place + 1 :], content[:place], content + b"\n"):
                if edited != content:
                    path.write_bytes(edited)
                    assert path.name in _found(taken), (path.name, place)
        path.write_bytes(content)
    assert check(taken, None).problems == ()


def _found(folder: Path) -> str:
    try:
        return " ".join(problem.where for problem in check(folder, None).problems)
    except IntegrityBroken as error:
        return str(error)


def test_missing_and_added_files_are_named(taken: Path) -> None:
    """A file that is missing, one that was added, and a link in a file's place."""
    (taken / "sites.csv").unlink()
    (taken / "sites.ndjson").unlink()
    (taken / "sites.ndjson").symlink_to(taken / "sites.parquet")
    (taken / "more.csv").touch()
    assert list(check(taken, None).problems) == [
        Problem(where="sites.csv", what="is missing"),
        Problem(where="sites.ndjson", what="is not a file"),
        Problem(where="more.csv", what="is not in the manifest"),
    ]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_forgery_with_new_digests_is_found_by_the_warehouse(warehouse: Engine, tmp_path: Path, kind: str) -> None:
    """A table edited with all digests recomputed agrees with the manifest, but not with the warehouse."""
    tell(warehouse, {"2026-01-06": [number(1, "7495", comment="true"), number(2, "7496")]})
    moment = FakeClock().now() + timedelta(days=1)
    write_snapshot(warehouse, moment, tmp_path / "out", (kind,))
    with warehouse.begin() as connection:
        connection.execute(text("update virtual_numbers set comment = 'false' where virtual_number_id = 1"))
    assert check(tmp_path / "out", None).problems == ()
    (problem,) = check(tmp_path / "out", warehouse).problems
    assert problem.where == f"virtual_numbers.{kind}"
    assert kind == "parquet" or problem.what.startswith(f"line {2 if kind == 'csv' else 1} ")


def test_another_warehouse_s_snapshot(warehouse: Engine, taken: Path) -> None:
    """An account that the warehouse lacks at that moment, or observed at another one, is named."""
    with warehouse.begin() as connection:
        connection.execute(text("update account_syncs set account_id = 8"))
        connection.execute(text("update accounts set account_id = 8"))
    found = check(taken, warehouse).problems
    assert {problem.where for problem in found} >= {"account 7", "account 8"}


def test_parquet_of_another_version_is_compared_by_rows(warehouse: Engine, taken: Path) -> None:
    """Other bytes with the same rows are no difference; a missing row is one."""
    path = taken / "virtual_numbers.parquet"
    table = pyarrow.parquet.read_table(path)
    pyarrow.parquet.write_table(table, path, compression="none", row_group_size=3)
    manifest = loads((taken / "manifest.json").read_bytes())
    _forge(taken, manifest)
    assert check(taken, warehouse).problems == ()
    pyarrow.parquet.write_table(table.slice(1), path, compression="none")
    _forge(taken, manifest)
    assert [problem.where for problem in check(taken, warehouse).problems] == ["virtual_numbers.parquet"]


def _forge(folder: Path, manifest: Any) -> None:
    """Recompute the manifest's digests."""
    import hashlib

    from msgspec.structs import replace

    from etl.snapshot.manifest import dumps

    contents = {file.path: (folder / file.path).read_bytes() for file in manifest.files}
    files = [
        replace(f, sha256=hashlib.sha256(contents[f.path]).hexdigest(), bytes=len(contents[f.path]))
        for f in manifest.files
    ]
    (folder / "manifest.json").write_bytes(dumps(replace(manifest, files=tuple(files))))


def test_what_is_no_snapshot_gets_one_line(tmp_path: Path) -> None:
    """An empty folder and a missing one are a usage error; tables without a manifest, or a broken one, are damage."""
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(Usage, match="is not a snapshot"):
            check(folder, None)
    (tmp_path / "sites.csv").touch()
    with pytest.raises(IntegrityBroken, match=r"manifest\.json is missing"):
        check(tmp_path, None)
    for content in (b"", b"{}", b"[1]", b"\xff", b'{"digest": 1, "accounts": [], "files": [{}]}', b"[" * 100_000):
        (tmp_path / "manifest.json").write_bytes(content)
        with pytest.raises(IntegrityBroken, match="cannot be read"):
            check(tmp_path, None)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(IntegrityBroken, match="it is a folder, not a file"):
        check(tmp_path, None)
    os.chmod(tmp_path, 0o700)
