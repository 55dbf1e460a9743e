"""`vnsync erase`: shows the erasure, does it with --yes, and refuses an unknown number."""

from __future__ import annotations

import pytest

from tests.support.running import Run, Source


@pytest.fixture
def synced(customer: Source, vnsync: Run) -> Source:
    """A warehouse with one sync of the customer's numbers."""
    assert vnsync("sync", *customer.options).code == 0
    return customer


def test_it_is_said_then_done(synced: Source, vnsync: Run) -> None:
    """Without --yes nothing is erased; with it the number is empty, the chain verifies, and a second finds none."""
    account_id = synced.world.customer_ids[0]
    number = min(synced.world.numbers(account_id))
    asked = ("erase", "--account", account_id, "--number", number)
    head = vnsync("status", "--output", "json").json["accounts"][0]["chain_digest"]
    said = vnsync(*asked)
    assert (said.code, said.err) == (0, "")
    assert "1 version and 0 quarantined records would be erased; nothing was. Add --yes" in " ".join(said.out.split())
    assert "erased before" not in vnsync(*asked).out
    done = vnsync(*asked, "--yes", "--reason", "request 17")
    assert done.code == 0
    assert done.out.startswith(f"Number {number} of account {account_id}: 1 version")
    told = vnsync(*asked, "--output", "json").json
    assert (told["erased"], told["versions"], told["earlier"]) == (False, 0, 1)
    verified = vnsync("verify", "--head", head)
    assert verified.code == 0
    assert f"Account {account_id}: 1 version of numbers erased, the last at " in verified.out


def test_an_unknown_number(synced: Source, vnsync: Run) -> None:
    """One line, exit 2."""
    done = vnsync("erase", "--account", synced.world.customer_ids[0], "--number", 1, "--yes")
    assert done.code == 2
    assert "never had a number 1" in done.error
