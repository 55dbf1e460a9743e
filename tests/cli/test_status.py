"""`vnsync status`: freshness for people and for monitors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

from etl.clock import SystemClock
from tests.support.running import Run, Source


@pytest.fixture
def synced(agency: Source, vnsync: Run) -> Source:
    """An agency that was synced just now."""
    assert vnsync("sync", *agency.options).code == 0
    return agency


def later(hours: float) -> time_machine.travel:
    """This much later."""
    return time_machine.travel(SystemClock().now() + timedelta(hours=hours), tick=True)


def test_status_of_each_account(synced: Source, vnsync: Run) -> None:
    """One row for each account, and the last run with its end."""
    done = vnsync("status")
    lines = done.out.splitlines()
    first = synced.world.customer_ids[0]
    assert (done.code, done.err) == (0, "")
    assert lines[1].split()[:2] == [str(first), "Acme"]
    assert "succeeded" in lines[1]
    assert lines[3].startswith("Last run ")
    assert "succeeded, finished " in lines[3]


def test_json_has_the_contract_s_fields(synced: Source, vnsync: Run) -> None:
    """For machines: one object, an entry for each account."""
    accounts = vnsync("status", "--output", "json").json["accounts"]
    fields = {"account_id", "account_name", "observed_at", "age_seconds", "status", "listed_numbers", "chain_digest"}
    assert [a["account_id"] for a in accounts] == synced.world.customer_ids
    assert fields <= accounts[0].keys()
    assert (accounts[0]["status"], accounts[0]["listed_numbers"]) == ("succeeded", 30)
    assert 0 <= accounts[0]["age_seconds"] < 60
    assert accounts[0]["observed_at"].endswith("Z")


@pytest.mark.usefixtures("synced")
@pytest.mark.parametrize(
    ("age", "hours", "code"),
    [("90m", 1.4, 0), ("90m", 1.6, 75), ("26h", 25.9, 0), ("26h", 26.1, 75), ("3d", 71, 0), ("3d", 73, 75)],
)
def test_max_age(age: str, hours: float, code: int, vnsync: Run) -> None:
    """Exit 75 exactly when an observation is older than asked."""
    with later(hours):
        assert vnsync("status", "--max-age", age).code == code


def test_stale_accounts_are_named(synced: Source, vnsync: Run) -> None:
    """The error line names the accounts, and the table marks them."""
    with later(30):
        done = vnsync("status", "--max-age", "26h")
    ids = ", ".join(map(str, synced.world.customer_ids))
    assert done.error.startswith(f"vnsync: error: 2 accounts were last synced more than 26 h ago: {ids}. ")
    assert done.out.count("older than --max-age") == 2


def test_one_stale_account_is_enough(synced: Source, vnsync: Run) -> None:
    """When only one account is stale, that one is named and the exit code is 75."""
    first, second = synced.world.customer_ids
    with later(30):
        vnsync("sync", "--account", first, *synced.options)
        done = vnsync("status", "--max-age", "26h")
    assert done.code == 75
    assert f"1 account was last synced more than 26 h ago: {second}." in done.error


@pytest.mark.parametrize("prepare", ["tables", "no tables"])
def test_nothing_was_ever_synced(prepare: str, vnsync: Run, new_postgresql: Callable[[], str]) -> None:
    """Without --max-age the status says so; with it, the exit code is 75; an earlier moment is refused."""
    where = ("--database-url", new_postgresql())
    if prepare == "tables":
        vnsync("db", "upgrade", *where)
    told = vnsync("status", *where)
    assert told.code == 0
    assert told.out.startswith("No account was ever synced into postgresql://")
    assert vnsync("status", "--output", "json", *where).json == {"accounts": [], "last_run": None, "failures": []}
    assert vnsync("status", "--max-age", "26h", *where).code == 75
    assert vnsync("status", "--as-of", "2026-01-01", *where).code == (2 if prepare == "tables" else 78)


@pytest.mark.parametrize("options", [(), ("--max-age", "26h"), ("--output", "json"), ("--as-of", "2026-01-01")])
def test_a_file_that_is_not_there_is_no_warehouse(options: tuple[str, ...], vnsync: Run) -> None:
    """A mistyped URL is no green light: exit 78 as with every command that reads, and no file is made."""
    done = vnsync("status", *options)
    assert (done.code, "accounts" in done.out) == (78, False)
    assert "there is no warehouse at sqlite:///vnsync.db" in done.error
    assert not Path("vnsync.db").exists()


@pytest.mark.usefixtures("synced")
def test_before_the_first_observation(vnsync: Run) -> None:
    """The state then is unknown: exit 2, as with every command that takes --as-of."""
    done = vnsync("status", "--as-of", "2020-01-01")
    assert (done.code, done.out) == (2, "")
    assert "before the first observation" in done.error


def test_a_customer_that_left_keeps_no_monitor_red(warehouse_url: str, agency: Source, vnsync: Run) -> None:
    """It is called left, since when, and does not count in --max-age; doctor names it and is content."""
    where = ("--database-url", warehouse_url)
    stays, leaves = agency.world.customer_ids
    assert vnsync("sync", *where, *agency.options).code == 0
    agency.world.remove_customer(leaves)
    assert [vnsync("sync", *where, *agency.options).code for _ in range(2)] == [3, 0]
    with later(48):
        assert vnsync("sync", *where, *agency.options).code == 0
        told = vnsync("status", "--max-age", "26h", *where)
        json = vnsync("status", "--output", "json", *where).json["accounts"]
        doctor = vnsync("doctor", *where, *agency.options)
    assert told.code == 0
    assert "not readable with this token since " in told.out
    assert "failed" not in told.out
    assert [(a["account_id"], a["status"], bool(a["unreachable_since"])) for a in json] == [
        (stays, "succeeded", False), (leaves, "left", True),
    ]  # fmt: skip
    assert json[1]["listed_numbers"] == 5
    assert f"1 account not readable for a known reason ({leaves}: not readable with this token since " in doctor.out
    assert doctor.out.splitlines()[-1] == "Ready to sync."


def test_a_customer_that_came_back_counts_again(synced: Source, vnsync: Run) -> None:
    """`left` is the finding of the last sync only."""
    first = synced.world.customer_ids[0]
    customer = synced.world.customer(first)
    synced.world.remove_customer(first)
    vnsync("sync", *synced.options)
    synced.world._customers[first] = customer  # it comes back as it was
    assert vnsync("sync", *synced.options).code == 0
    assert [a["status"] for a in vnsync("status", "--output", "json").json["accounts"]] == ["succeeded"] * 2
    with later(30):
        assert vnsync("status", "--max-age", "26h").code == 75


def test_failed_account_keeps_its_last_good_observation(synced: Source, vnsync: Run) -> None:
    """The age is that of the last publication; the failure of the last sync is shown, with its remedy."""
    first = synced.world.customer_ids[0]
    before = vnsync("status", "--output", "json").json["accounts"][0]
    synced.world.block(first)
    vnsync("sync", *synced.options)
    after = vnsync("status", "--output", "json").json["accounts"][0]
    assert (after["status"], after["observed_at"]) == ("failed", before["observed_at"])
    assert after["listed_numbers"] == 30
    text = vnsync("status").out
    assert f'account {first} "Acme" failed: ' in text
    assert "vnsync doctor" in text


def test_held_account_says_how_to_approve(synced: Source, vnsync: Run) -> None:
    """An account that the mass-close guard held is shown with the command that approves."""
    first = synced.world.customer_ids[0]
    for number in synced.world.numbers(first)[:29]:
        synced.world.remove(first, number)
    assert vnsync("sync", *synced.options).code == 3
    assert f"--approve-close {first}`" in vnsync("status").out


def test_account_that_never_succeeded_is_stale(agency: Source, vnsync: Run) -> None:
    """An account that was tried and never published counts as never observed."""
    first = agency.world.customer_ids[0]
    agency.world.block(first)
    vnsync("sync", *agency.options)
    done = vnsync("status", "--max-age", "26h")
    assert done.code == 75
    assert f"1 account was never synced: {first}." in done.error
    assert "never observed" in done.out


def test_longest_gap(synced: Source, vnsync: Run) -> None:
    """A gap of days between two observations shows, even after a fresh sync."""
    with later(100):
        vnsync("sync", *synced.options)
        done = vnsync("status")
        accounts = vnsync("status", "--output", "json").json["accounts"]
    assert done.out.count("longest gap 4 d 4 h") == 2
    assert accounts[0]["longest_gap_seconds"] == pytest.approx(360_000, abs=60)


def test_both_databases(warehouse_url: str, agency: Source, vnsync: Run) -> None:
    """The answer is the same from PostgreSQL and SQLite."""
    assert vnsync("sync", "--database-url", warehouse_url, *agency.options).code == 0
    accounts = vnsync("status", "--database-url", warehouse_url, "--output", "json").json["accounts"]
    assert [(a["account_id"], a["status"], a["listed_numbers"]) for a in accounts] == [
        (agency.world.customer_ids[0], "succeeded", 30),
        (agency.world.customer_ids[1], "succeeded", 5),
    ]
    assert vnsync("status", "--database-url", warehouse_url, "--max-age", "1h").code == 0
