"""`vnsync demo`: one page that shows the whole, and a file of its own."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from etl.clock import SystemClock
from tests.support.running import Run, environment


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agency small enough to be quick."""
    agency = (("Café Zoë", "Europe/Madrid", 400), ("東京 Travel", "Asia/Tokyo", 20))
    monkeypatch.setattr("etl.cli.commands.demo.AGENCY", agency)


def test_demo_fits_one_page(vnsync: Run) -> None:
    """As shipped: an account of more than 10 500 numbers, three days, at most 45 lines of 100 columns, no log."""
    done = vnsync("demo")
    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    assert any("10 6" in line and "Окна Плюс" in line for line in lines)
    assert "Changes by day, in numbers" in lines
    assert any(line.startswith("Campaigns of number ") for line in lines)


@pytest.mark.usefixtures("small")
def test_demo_lives_through_consecutive_days(vnsync: Run) -> None:
    """The days are consecutive and end now; from the second on there are changes; counts are those of the tables."""
    done = vnsync("demo", "--days", "4", "--output", "json").json
    observed = [day["run"]["accounts"][0]["observed_at"][:10] for day in done["days"]]
    today = SystemClock().now().date()
    assert [d["day"] for d in done["days"]] == [1, 2, 3, 4]
    assert observed == [str(today - timedelta(days=back)) for back in (3, 2, 1, 0)]
    assert not done["days"][0]["changes"]
    assert sum(c["edited"] + c["moved"] + c["added"] for day in done["days"][1:] for c in day["changes"]) > 0
    with closing(sqlite3.connect("vnsync-demo.db")) as connection:
        for table, size in done["tables"].items():
            assert connection.execute(f"select count(*) from {table}").fetchone() == (size["rows"],)
            assert connection.execute(f"select count(*) from {table}_closed").fetchone() == (size["ended"],)


@pytest.mark.usefixtures("small")
def test_demo_s_figures_are_the_changes(vnsync: Run) -> None:
    """The counts of numbers added and removed on a day equal the numbers' history."""
    done = vnsync("demo", "--output", "json").json
    with closing(sqlite3.connect("vnsync-demo.db")) as connection:
        for day in done["days"][1:]:
            run_id = day["run"]["run_id"]
            history = "virtual_number_id from virtual_numbers_history where"
            opened = {i for (i,) in connection.execute(f"select {history} opened_run_id = ?", (run_id,))}
            closed = {i for (i,) in connection.execute(f"select {history} closed_run_id = ?", (run_id,))}
            assert sum(c["added"] for c in day["changes"]) == len(opened - closed)
            assert sum(c["removed"] for c in day["changes"]) == len(closed - opened)
            assert sum(c["edited"] for c in day["changes"]) == len(closed & opened)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("shell", [True, False])
def test_printed_commands_work(shell: bool, vnsync: Run, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command on the page runs as it stands, with the sqlite3 shell and without."""
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/sqlite3" if shell else None)
    out = vnsync("demo").out
    commands = out.split("Next steps:\n")[1].splitlines()
    status, query = commands[0].strip(), "\n".join(commands[1:3])
    assert vnsync(*status.split()[1:]).code == 0
    assert status.split()[:2] == ["vnsync", "status"]
    done = subprocess.run(["sh", "-c", query], capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) >= 2
    assert [c.split()[:2] for c in commands[3:]] == [["vnsync", "sandbox"], ["vnsync", "sync"]]


@pytest.mark.usefixtures("small")
def test_demo_replaces_its_own_file(vnsync: Run) -> None:
    """A second demo starts afresh in the file of the first, which only its owner may read."""
    assert vnsync("demo", "--days", "1").code == 0
    again = vnsync("demo", "--days", "1", "--output", "json")
    assert again.code == 0
    with closing(sqlite3.connect("vnsync-demo.db")) as connection:
        assert connection.execute("select count(*) from sync_runs").fetchone() == (1,)
    assert Path("vnsync-demo.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["warehouse", "text", "folder", "other database"])
def test_demo_never_replaces_what_is_not_its_own(kind: str, vnsync: Run) -> None:
    """A warehouse, or anything else under the demo's name, is left as it is: exit 74."""
    path = Path("vnsync-demo.db")
    if kind == "warehouse":
        vnsync("db", "upgrade", "--database-url", f"sqlite:///{path}")
    elif kind == "text":
        path.write_text("my notes")
    elif kind == "folder":
        path.mkdir()
    else:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("create table mine (x)")
    before = path.read_bytes() if path.is_file() else None
    done = vnsync("demo")
    assert done.code == 74
    assert "was not created by `vnsync demo`" in done.error
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("url", ["postgresql://h/d", "sqlite://", "demo.db"])
def test_demo_writes_to_sqlite_files_only(url: str, vnsync: Run) -> None:
    """Any other database is refused: the demo has no business there."""
    done = vnsync("demo", "--database-url", url)
    assert done.code == 78
    assert "sqlite:///FILE" in done.error


@pytest.mark.usefixtures("small")
def test_demo_leaves_the_warehouse_alone(vnsync: Run, clean: Path) -> None:
    """The settings' own database is neither read nor made."""
    done = vnsync("demo", "--days", "1", VNSYNC_DATABASE_URL="sqlite:///mine.db", VNSYNC_API_TOKEN="mine")
    assert done.code == 0
    assert not (clean / "mine.db").exists()
