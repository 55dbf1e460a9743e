"""docs/tutorial.md: each command runs as it is printed, and shows what the page says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.sandbox.world import CustomerPlan, World
from tests.support import pages
from tests.support.checkout import ROOT
from tests.support.running import listening
from tests.support.shell import Shell
from tests.support.tools import required

PAGE = ROOT / "docs" / "tutorial.md"
SANDBOX = "vnsync sandbox --port 8091 --numbers 500 --day-every 30s\n"
DATABASE = "export VNSYNC_DATABASE_URL=sqlite:///tutorial.db\n"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """The second terminal of the page; the API is a smaller one, whose days pass when the test says so."""
    required("sqlite3", "sqlite3")
    world = World(seed=4, customers=[CustomerPlan(numbers=40)] * 3, role="agent")
    for source in listening(world, tmp_path):
        (home := tmp_path / "home").mkdir()
        yield Shell(source, home, {})


def test_the_whole_way(shell: Shell) -> None:
    """From the first look to an attributed call and a proof that fails."""
    sandbox, database, look, load, ask, periods, calls, prove, edit = (text for _, text in pages.blocks(PAGE))
    assert (sandbox, database) == (SANDBOX, DATABASE)
    assert "Ready to sync." in shell.run(database + look)
    assert "3 of 3 accounts published" in shell.run(database + load)
    shell.source.world.pass_day(share=0.3)
    assert "3 of 3 accounts published" in shell.run(database + "vnsync sync")
    moved = "sqlite3 tutorial.db \"select virtual_phone_number from changes where kind = 'moved' limit 1\""
    phone = shell.run(moved).strip()
    told = shell.run(database + ask.replace("PHONE", phone))
    assert "moved to another campaign" in told
    assert f"\n{phone}: number " in told
    assert len(shell.run(periods).splitlines()) == 5
    attributed = [line.split("|") for line in shell.run(calls).splitlines()]
    assert {row[1] for row in attributed if row[0] == phone} == {"changed"}
    assert {row[1] for row in attributed} == {"changed", "certain"}
    assert "OK: no problems." in shell.run(database + prove)
    assert (shell.folder / "report.html").stat().st_size > 0
    assert "campaigns  campaign_id" in shell.run(database + edit, code=70)
