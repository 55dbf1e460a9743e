"""Tests of the verifier: a correct warehouse passes, and each kind of error is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.ledger import (
    ACCOUNT,
    CLOSE,
    ENDED,
    FIRST,
    FIRST_SYNC,
    NUMBER,
    PUBLISHED,
    SECOND,
    SECOND_SYNC,
    SEEN_AGAIN,
    STARTED,
    Ledger,
)
from tests.simulation.stage import Stage


@pytest.fixture
def ledger(stage: Stage) -> Iterator[Ledger]:
    """A ledger with an account that was synced once, and whose second sync has begun."""
    stage.reset()
    ledger = Ledger(stage.path)
    assert ledger.step(STARTED.format(run=1, at=FIRST)) == []
    assert ledger.step(FIRST_SYNC, live={1}) == []
    assert ledger.step(ENDED.format(run=1, at=FIRST)) == []
    assert ledger.step(STARTED.format(run=2, at=SECOND), live={2}) == []
    yield ledger
    ledger.close()


def test_right_steps_pass(ledger: Ledger) -> None:
    """A second sync that closes one number and opens another breaks no rule, and its history shows both moments."""
    first = ledger.dump
    assert ledger.step(SECOND_SYNC, live={2}) == []
    assert ledger.step(ENDED.format(run=2, at=SECOND)) == []
    assert ledger.whole({(5, FIRST): first, (5, SECOND): ledger.dump}) == []


RUN_2 = PUBLISHED.format(run=2, at=SECOND, opened=1, closed=1) + SEEN_AGAIN.format(run=2)
CLOSE_10 = CLOSE.format(number=10, run=2, at=SECOND)
OPEN_12 = NUMBER.format(number=12, run=2, at=SECOND)
QUARANTINE = "insert into quarantine (run_id, account_id, path, reason, record) values (2, 5, '$', 'r', '{}');"
LINK = "insert into virtual_number_campaigns values (5, 11, 77, '{at}', 2);"

WRONG = {
    "a final state changes": ("update sync_runs set status = 'failed' where run_id = 1;", "I9"),
    "a run's row disappears": ("delete from sync_runs where run_id = 1;", "I9"),
    "a living run is marked dead": (
        f"update sync_runs set status = 'interrupted', finished_at = '{SECOND}' where run_id = 2;",
        "lives and was marked dead",
    ),
    "a run that has ended claims": (ENDED.format(run=2, at=SECOND), "not running"),
    "a claim is taken from the living": (
        "update account_claims set run_id = 3; insert into sync_runs (run_id, started_at, status, source_url, version)"
        f" values (3, '{SECOND}', 'running', 'u', 'v');",
        "which lives",
    ),
    "data without the account's row": (CLOSE_10 + OPEN_12, "I10"),
    "the account's row changes afterwards": ("update account_syncs set suspects = 4;", "account sync (1, 5) changed"),
    "a run without a claim publishes": (
        f"delete from account_claims; update sync_runs set status = 'interrupted', finished_at = '{SECOND}'"
        f" where run_id = 2; {SECOND_SYNC}",
        "lives and was marked dead",
    ),
    "time goes back": (
        PUBLISHED.format(run=2, at="2025-12-31 00:00:00.000000", opened=0, closed=0) + SEEN_AGAIN.format(run=2),
        "I13",
    ),
    "a version of another moment": (
        RUN_2 + CLOSE_10 + NUMBER.format(number=12, run=2, at="2026-01-02 00:00:01.000001"),
        "I3",
    ),
    "closed at another moment": (
        RUN_2 + CLOSE.format(number=10, run=2, at="2026-01-02 00:00:01.000001") + OPEN_12,
        "I12",
    ),
    "a version vanishes": (RUN_2 + "delete from virtual_numbers where virtual_number_id = 10;" + OPEN_12, "I4"),
    "equal neighbours": (RUN_2 + CLOSE_10 + NUMBER.format(number=10, run=2, at=SECOND), "I5"),
    "closed and never open": (
        RUN_2 + CLOSE_10.replace("delete from virtual_numbers where virtual_number_id = 10;", "") + OPEN_12,
        "had not been open",
    ),
    "wrong counts": (SECOND_SYNC.replace("0, 1, 1);", "0, 7, 1);"), "not what"),
    "a link to no campaign": (
        PUBLISHED.format(run=2, at=SECOND, opened=1, closed=0) + SEEN_AGAIN.format(run=2) + LINK.format(at=SECOND),
        "campaigns: ",
    ),
    "quarantine without its row": (QUARANTINE, "I10"),
    "quarantine that is not counted": (SECOND_SYNC + QUARANTINE, "kept 1"),
    "the account's row is not renewed": (
        SECOND_SYNC.replace(SEEN_AGAIN.format(run=2), "delete from accounts;"),
        "lost its row",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_step_is_seen(what: str, ledger: Ledger) -> None:
    """The verifier finds a breach of each rule that holds between two commits."""
    script, word = WRONG[what]
    assert any(word in problem for problem in ledger.step(script, live={2})), ledger.dump


def test_closed_rows_never_change(ledger: Ledger) -> None:
    """A closed version that is edited by hand is found at the next step."""
    ledger.step(SECOND_SYNC)
    assert any("I16" in p for p in ledger.step("update virtual_numbers_closed set status = 'waiting';"))


WRONG_HISTORY = {
    "overlap": ("update virtual_numbers_closed set valid_to = '2026-02-01'", "I1"),
    "a run that never was": ("update virtual_numbers_closed set closed_run_id = 99", "I12"),
    "another past": ("update virtual_numbers_closed set status = 'waiting'", "I7"),
    "a version that the view lacks": ("delete from virtual_numbers_closed", "I7"),
}


@pytest.mark.parametrize("what", WRONG_HISTORY)
def test_wrong_history_is_seen(what: str, ledger: Ledger) -> None:
    """The verifier finds a breach of each rule of the whole history."""
    first = ledger.dump
    ledger.step(SECOND_SYNC)
    ledger.step(ENDED.format(run=2, at=SECOND))
    ledger.step(STARTED.format(run=3, at="2026-01-03 00:00:01.000000"))
    third = "2026-01-03 00:00:01.000000"
    again = PUBLISHED.format(run=3, at=third, opened=1, closed=0) + SEEN_AGAIN.format(run=3)
    assert ledger.step(again + NUMBER.format(number=10, run=3, at=third)) == []
    script, word = WRONG_HISTORY[what]
    ledger.step(f"{script};")
    assert any(word in problem for problem in ledger.whole({(5, FIRST): first}))


def test_first_account_needs_its_row(stage: Stage) -> None:
    """An account that was published and is missing in `accounts` is found."""
    stage.reset()
    ledger = Ledger(stage.path)
    ledger.step(STARTED.format(run=1, at=FIRST))
    assert any("has no row" in p for p in ledger.step(FIRST_SYNC.replace(ACCOUNT, "")))
    ledger.close()
