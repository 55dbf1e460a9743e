"""The benchmarks run: so that they cannot rot, and that the floor, the source and vnsync still speak of one thing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from benchmarks import __main__ as command
from benchmarks.databases import Database
from benchmarks.history import synthesize
from benchmarks.measuring import ROOT, run
from benchmarks.numbers import SHARES, Account
from benchmarks.source import serving
from benchmarks.subjects import FLOOR, VNSYNC
from etl.domain.tables import TABLES
from etl.store.engine import open_warehouse
from tests.support import oracle

NAMES = {"virtual_number_campaigns": "number_campaigns", "virtual_number_site_blocks": "number_site_blocks",
         "virtual_number_scenarios": "number_scenarios"}  # fmt: skip
"""What the floor calls tables that vnsync calls otherwise."""


def test_a_days_changes_are_the_share_that_they_should_be() -> None:
    """Most of the 1 % and 10 % of changes are edits, some are removals and some new numbers; nothing else changes."""
    states = [_records(Account(0, 20_000, day, None)) for day in range(3)]
    for share, before, after in zip(SHARES[1:], states, states[1:], strict=False):
        changed = {i for i in before.keys() & after.keys() if before[i] != after[i]}
        assert len(changed) == pytest.approx(20_000 * share * 0.8, rel=0.2)
        assert len(before.keys() - after.keys()) == pytest.approx(20_000 * share * 0.1, rel=0.6)
        assert len(after.keys() - before.keys()) == pytest.approx(20_000 * share * 0.1, rel=0.1)


def _records(account: Account) -> dict[int, str]:
    return {r["id"]: json.dumps(r) for r in json.loads(b"[" + bytes(account.text) + b"]")}


def test_a_source_answers_windows_and_ids_as_it_answers_all() -> None:
    """A window holds the ids after its lower and up to its upper edge; asked by id, only those that are there come."""
    account = Account(0, 300, 0, None)
    low, high = account.between(account.ids[9], account.ids[19])
    assert [r["id"] for r in json.loads(b"[" + bytes(account.slice(low, high)) + b"]")] == list(account.ids[10:20])
    asked = [account.ids[5], account.ids[5] + 1, account.ids[299]]
    assert [r["id"] for r in json.loads(b"[" + account.picked(asked) + b"]")] == [account.ids[5], account.ids[299]]


FAMILY = """
import os, subprocess, sys, time

depth, held = int(sys.argv[1]), b"x" * (64 << 20)
started = subprocess.Popen([sys.executable, sys.argv[0], str(depth - 1)]) if depth else None
forked = os.fork() if depth == 2 else None
if forked == 0:
    held = [held, b"y" * (64 << 20)]
while time.process_time() < 0.1:
    pass
open(f"{sys.argv[0]}.{os.getpid()}", "w").close()
while len(os.listdir(os.path.dirname(sys.argv[0]))) < 1 + 4:
    time.sleep(0.01)
time.sleep(1)
if forked == 0:
    os._exit(0)
if forked:
    os.waitpid(forked, 0)
if started:
    started.wait()
"""
"""A process, its child and grandchild, and a fork, which shares the first one's 64 MiB. Each has 64 MiB of its own,
works for 0.1 s, and waits for all."""
MEASURED = """
import sys
from benchmarks.measuring import run

figures = run([sys.executable, sys.argv[1], "2"], {})
print(figures.memory, figures.cpu)
"""


def test_memory_and_processor_time_are_those_of_all_processes_together(tmp_path: Path) -> None:
    """Of grandchildren too, and what a fork shares with its parent is counted once.

    A small process measures: no child's peak is less than what its parent held when it began.
    """
    script = tmp_path / "family.py"
    script.write_text(FAMILY)
    measured = subprocess.run([sys.executable, "-c", MEASURED, str(script)], check=True, capture_output=True, cwd=ROOT)
    memory, cpu = map(float, measured.stdout.split())
    assert 4 * 64 < memory < 5 * 64
    assert cpu >= 4 * 0.1


def test_subjects_stay_on_their_cores_and_the_rest_on_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    """A pinned process sees its core alone, and what starts it goes on as before; one core has to be left over."""
    before = sorted(os.sched_getaffinity(0))
    told = "import os, sys; sys.exit(str(sorted(os.sched_getaffinity(0))))"
    with pytest.raises(RuntimeError, match=rf"\[{before[0]}\]"):
        run([sys.executable, "-c", told], {}, cores=before[:1])
    assert sorted(os.sched_getaffinity(0)) == before
    with pytest.raises(SystemExit):
        command.main(["--cores", *map(str, before)])
    assert "at least one has to be left for the source" in capfd.readouterr().err


def test_a_database_has_the_size_of_its_files(tmp_path: Path) -> None:
    """With those that a subject attaches, and without what else lies beside; a database that is not there has none."""
    database = Database("sqlite", "", str(tmp_path / "warehouse.db"))
    assert database.size() is None
    for name, size in {".db": 3, ".db-wal": 2, "__numbers.db": 1, ".db.jsonl": 9, ".db-shm": 9}.items():
        (tmp_path / f"warehouse{name}").write_bytes(bytes(size * 1_000_000))
    assert database.size() == 6
    database.remove()
    assert not tmp_path.exists()


def _sizes(database: Database, names: dict[str, str]) -> dict[str, tuple[int, int]]:
    engine = create_engine(database.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = {}
        for table in TABLES:
            name = names.get(table.name, table.name)
            counts = f"select (select count(*) from {name}), (select count(*) from {name}_closed)"
            found[table.name] = tuple(connection.execute(text(counts)).one())
    engine.dispose()
    return found


@pytest.mark.soak
def test_the_floor_and_vnsync_hold_the_same_rows_day_after_day(
    empty_url: str, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Both follow the source through a first load, a quiet day, 1 % and 10 %: open and ended rows are as many."""
    other = f"sqlite:///{tmp_path / 'floor.db'}"
    if database == "postgresql":
        other = request.getfixturevalue("new_postgresql")()
    ours, floor = (_database(database, url) for url in (empty_url, other))
    with serving(1200) as source:
        for days in (0, 0, 1, 2):
            source.go_to(days)
            for subject, place in ((VNSYNC, ours), (FLOOR, floor)):
                figures = run(*subject.run_on(place, source.url, source.token))
                assert figures.wall > 0 < figures.memory
            assert _sizes(ours, {}) == _sizes(floor, NAMES)


def _database(kind: str, url: str) -> Database:
    if kind == "sqlite":
        return Database(kind, url, url.removeprefix("sqlite:///"))
    return Database(kind, url, psycopg.conninfo.make_conninfo(url))


@pytest.mark.soak
def test_a_synthesized_past_keeps_the_rules_of_history(empty_url: str, database: str) -> None:
    """Closed versions of a year, made by SQL, break no invariant, and the next sync goes on from there."""
    place = _database(database, empty_url)
    with serving(400) as source:
        run(*VNSYNC.run_on(place, source.url, source.token))
        synthesize(empty_url, 30)
        before = _sizes(place, {})["virtual_numbers"]
        source.go_to(1)
        run(*VNSYNC.run_on(place, source.url, source.token))
    assert before[1] == pytest.approx(400 * 30 / 100, rel=0.1)
    assert oracle.broken_invariants(open_warehouse(empty_url)) == []


@pytest.mark.soak
def test_the_command_writes_figures_a_table_and_a_chart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A small run in full: every subject and step has its figures, the table its rows, and the chart is whole XML."""
    words = ["--numbers", "300", "--rounds", "1", "--databases", "sqlite", "--subjects", "vnsync", "floor", "download"]
    command.main([*words, "--only", "beside", "agency", "--customers", "3", "--out", str(tmp_path)])
    told = capsys.readouterr().out
    assert "**300 numbers, SQLite**" in told
    assert "| vnsync |" in told
    assert "| side by side |" in told
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["figures"]) == 3 * 4 + 2 * 2
    sizes = {figure["key"][3]: figure["rounds"][0]["size"] for figure in figures["figures"]}
    assert sizes["download"] is None
    assert sizes["vnsync"] > sizes["floor"] > 0
    assert (tmp_path / "table.md").read_text() == told.removesuffix("\n")
    assert xml.etree.ElementTree.parse(tmp_path / "chart.svg").getroot().tag.endswith("svg")
