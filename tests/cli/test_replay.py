"""`vnsync replay`: output, exit codes, and files that it does not touch."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.support.running import Run, Source

AGAIN = ("--database-url", "sqlite:///again.db")


@pytest.fixture
def kept(agency: Source, vnsync: Run) -> Source:
    """An agency's warehouse after three syncs, of which the archive `kept` has the last two."""
    assert vnsync("sync", *agency.options).code == 0
    for _ in range(2):
        agency.world.pass_day(share=0.2)
        assert vnsync("sync", *agency.options, "--archive", "kept").code == 0
    return agency


@pytest.mark.usefixtures("kept")
def test_an_agents_archive_begun_later(vnsync: Run) -> None:
    """Compared over the common time nothing differs, as reported; a replay names the missing part."""
    compared = vnsync("replay", "kept", "--diff")
    assert compared.code == 0
    last = compared.out.splitlines()[-1]
    assert last.startswith("2 accounts compared over the time that both cover, ")
    assert last.endswith(" the same: no differences.")
    machines = vnsync("replay", "kept", "--diff", "--output", "json").json
    assert (machines["exit_code"], {t["only_warehouse"] for t in machines["tables"]}) == (0, {0})
    done = vnsync("replay", "kept", *AGAIN)
    assert done.code == 70
    assert "the observation that it follows is not in the archive (expected 20" in done.error
    assert ", found none)" in done.error
    assert "+00:00" not in done.out + done.err
    told = vnsync("replay", "kept", "--database-url", "sqlite:///third.db", "--output", "json").json
    assert {(d["expected"][-1], d["found"]) for d in told["mismatches"]} == {("Z", None)}
    assert vnsync("status", *AGAIN).code == 0


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--run", "99"), "holds no run 99"),
        (("--to", "2020-01-01"), "nothing to replay"),
        (("--to", "2999-01-01"), "lies in the future"),
    ],
)
def test_nothing_to_replay(vnsync: Run, more: tuple[str, ...], words: str) -> None:
    """One clear line, exit 2, and no database is made."""
    done = vnsync("replay", "kept", *more, *AGAIN)
    assert done.code == 2
    assert words in done.error
    assert not Path("again.db").exists()


@pytest.mark.usefixtures("kept")
def test_a_damaged_archive(vnsync: Run) -> None:
    """Exit 70, and no database is made."""
    next(Path("kept/objects").rglob("*.gz")).unlink()
    assert vnsync("replay", "kept", *AGAIN).code == 70
    assert not Path("again.db").exists()


def test_a_number_erased_from_the_warehouse(kept: Source, vnsync: Run) -> None:
    """It is reported as erased, without the advice to replay into a new database, which would restore it."""
    account = kept.world.customer_ids[0]
    number = kept.world.numbers(account)[0]
    assert vnsync("erase", "--account", account, "--number", number, "--yes").code == 0
    done = vnsync("replay", "kept", "--diff")
    assert done.code == 0
    assert "no differences but 1 version of numbers that were erased from the warehouse" in done.out.splitlines()[-1]
    with sqlite3.connect("vnsync.db") as connection:
        connection.execute(f"update virtual_numbers set comment = 'forged' where virtual_number_id = {number + 1}")
    connection.close()
    edited = vnsync("replay", "kept", "--diff")
    assert edited.code == 70
    assert "`vnsync archive erase`" in edited.error
    assert "new database" not in edited.error
