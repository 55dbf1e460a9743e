"""docs/backups.md: its commands run as they are printed, and what it says of heads after a restore is so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etl.sandbox.world import CustomerPlan, World
from tests.support import pages
from tests.support.checkout import ROOT
from tests.support.running import listening
from tests.support.shell import Shell
from tests.support.tools import required

PAGE = ROOT / "docs" / "backups.md"
PRINTED_URL = "postgresql://vnsync_owner@localhost/calls"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """An agency of two customers, synced on two days into `vnsync.db`, with an archive."""
    for tool in ("sqlite3", "jq"):
        required(tool, tool)
    world = World(seed=3, customers=[CustomerPlan(numbers=20), CustomerPlan(numbers=10)], role="agent")
    for source in listening(world, tmp_path):
        (home := tmp_path / "home").mkdir()
        made = Shell(source, home, {"VNSYNC_ARCHIVE": "archive"})
        for _ in range(2):
            made.run("vnsync sync")
            world.pass_day(share=0.2)
        yield made


def _heads(shell: Shell) -> list[str]:
    return re.findall(r"\b[0-9a-f]{64}\b", shell.run("vnsync verify"))


def test_a_restored_sqlite_file_is_proved_and_continued(shell: Shell) -> None:
    """Heads of the backup fit, those noted after it do not, until the archive is replayed; then a sync goes on."""
    back_up, copy, restore, go_on = pages.scripts(PAGE, "SQLite")
    shell.run(back_up + copy)
    assert (shell.folder / "backup.db").stat().st_mode & 0o077 == 0
    shell.run("vnsync sync")
    later = _heads(shell)
    told = shell.run(restore)
    assert "OK: no problems.\n" in told
    refused = shell.run(f"vnsync verify --head {later[0]}", code=70)
    assert "the history was rewritten or truncated" in refused
    assert "1 run replayed" in shell.run(go_on)
    assert _heads(shell) == later
    assert "2 of 2 accounts published" in shell.run("vnsync sync")


def test_an_archive_moves_a_warehouse_to_postgresql(shell: Shell, new_postgresql: Callable[[], str]) -> None:
    """To the same heads."""
    (move,) = pages.scripts(PAGE, "From SQLite to PostgreSQL")
    assert move.count(PRINTED_URL) == 2
    shell.run(pages.scripts(PAGE, "SQLite")[0])
    told = shell.run(move.replace(PRINTED_URL, f"'{new_postgresql()}'"))
    assert "2 runs replayed: the result is the same." in told
    assert told.endswith("OK: no problems.\n")
