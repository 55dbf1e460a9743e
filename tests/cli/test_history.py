"""`vnsync history`: one number's life in the terminal and for machines."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from etl.clock import SystemClock
from tests.support.running import Run, Source


@pytest.fixture
def renamed(customer: Source, vnsync: Run) -> tuple[Source, int, int]:
    """A customer that was synced twice, a campaign renamed in between; a number of it, and the campaign."""
    assert vnsync("sync", *customer.options).code == 0
    account = customer.world.customer_ids[0]
    number, campaign = next(
        (r["id"], r["campaigns"][0]["campaign_id"]) for r in customer.world.truth(account) if r["campaigns"]
    )
    customer.world.rename_campaign(account, campaign, 'New"\x1b[2J\n2020-01-01  now  forged')
    with time_machine.travel(SystemClock().now() + timedelta(hours=20), tick=True):
        assert vnsync("sync", *customer.options).code == 0
    return customer, number, campaign


def later() -> time_machine.travel:
    """After both syncs."""
    return time_machine.travel(SystemClock().now() + timedelta(hours=30), tick=True)


def test_both_names_show_and_forge_nothing(renamed: tuple[Source, int, int], vnsync: Run) -> None:
    """A campaign's old and new name, each with its time; a hostile name stays in its cell and in its quotes."""
    _, number, campaign = renamed
    with later():
        done = vnsync("history", number)
    assert (done.code, done.err) == (0, "")
    assert f"number {number} of account" in done.out.splitlines()[0]
    told = [line for line in done.out.splitlines() if f"({campaign}) on" in line]
    assert len(told) == 2
    assert '"New\\"\\x1b[2J\\x0a2020-01-01 \\x20now \\x20forged"' in told[1]
    assert "\x1b" not in done.out
    assert not [line for line in done.out.splitlines() if line.startswith("2020")]


def test_by_phone_and_for_machines(renamed: tuple[Source, int, int], vnsync: Run) -> None:
    """One object: spans with their columns, from, after and to; times in UTC with a Z."""
    source, number, campaign = renamed
    with later():
        phone = next(r for r in source.world.truth(source.world.customer_ids[0]) if r["id"] == number)
        told = vnsync("history", f"+{phone['virtual_phone_number']}", "--output", "json").json
    (life,) = told["matches"]
    assert (life["virtual_number_id"], life["listed"], told["as_of"]) == (number, True, None)
    first, second = [span for span in life["campaigns"] if span["campaign_id"] == campaign]
    assert (first["valid_to"], first["after"]) == (second["valid_from"], None)
    assert second["after"] == first["valid_from"]
    assert second["valid_from"].endswith("Z")
    assert second["valid_to"] is None


def test_as_of_is_told_and_knows_nothing_later(renamed: tuple[Source, int, int], vnsync: Run) -> None:
    """Between the two syncs, the campaign has its first name only, and open periods end with `then`."""
    _, number, campaign = renamed
    with later():
        moment = (SystemClock().now() - timedelta(hours=20)).isoformat()
        done = vnsync("history", number, "--as-of", moment)
    (line,) = [line for line in done.out.splitlines() if f"({campaign}) on" in line]
    assert "then" in line
    assert "As known at " in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("0",), "no number 0 was ever listed"),
        (("spam",), "neither a phone number nor an id"),
        (("1", "--account", "5"), "account 5 was never published"),
        (("1", "--as-of", "2999-01-01"), "lies in the future"),
        (("1", "--as-of", "2020-01-01"), "before the first observation"),
        (("1", "--as-of", "soon"), "is not a date or time"),
    ],
)
def test_bad_input_gets_one_line_and_exit_2(
    arguments: tuple[str, ...], words: str, customer: Source, vnsync: Run
) -> None:
    """Unknown numbers and accounts, and moments of which nothing is known."""
    vnsync("sync", *customer.options)
    done = vnsync("history", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.error


def test_no_warehouse_is_not_made(vnsync: Run) -> None:
    """A file that is not there is not created by asking it."""
    done = vnsync("history", "1")
    assert done.code == 78
    assert "there is no warehouse at sqlite:///vnsync.db" in done.error
    assert vnsync("status").code == 78


def test_status_as_of_is_what_it_would_have_said(renamed: tuple[Source, int, int], vnsync: Run) -> None:
    """Between the two syncs: the first sync's run and observation."""
    assert renamed
    with later():
        now = SystemClock().now()
        last = vnsync("status", "--output", "json").json
        told = vnsync("status", "--as-of", (now - timedelta(hours=20)).isoformat(), "--output", "json").json
        future = vnsync("status", "--as-of", "2999-01-01")
    assert told["accounts"][0]["observed_at"] < last["accounts"][0]["observed_at"]
    assert told["last_run"]["run_id"] != last["last_run"]["run_id"]
    assert 9.9 * 3600 < told["accounts"][0]["age_seconds"] < 10.1 * 3600
    assert future.code == 2


def test_a_time_that_is_shown_holds_what_stands_beside_it(renamed: tuple[Source, int, int], vnsync: Run) -> None:
    """Each shown time, used as --as-of, finds the state that it is shown with, the first one too."""
    _, number, campaign = renamed
    with later():
        done = vnsync("history", number)
        old, new = [line for line in done.out.splitlines() if f"({campaign}) on" in line]
        assert old[21:40] == new[:19]
        for line in (old, new):
            told = vnsync("history", number, "--as-of", line[:19])
            assert told.code == 0
            (last,) = [each for each in told.out.splitlines() if f"({campaign}) on" in each and "then" in each]
            assert last.split("then")[1].strip() == line[40:].removeprefix("  ").strip().removeprefix("now").strip()
        first = done.out.splitlines()[1].removeprefix("First seen ")[:19]
        assert vnsync("history", number, "--as-of", first).code == 0
        observed = vnsync("status").out.splitlines()[1].split()[2:4]
        assert vnsync("status", "--as-of", " ".join(observed)).code == 0
