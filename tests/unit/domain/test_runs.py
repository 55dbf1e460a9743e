"""A run's outcome from its accounts, and run ids."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from etl.domain.runs import AccountResult, AccountStatus, RunStatus, outcome
from etl.store.runs import new_run_id

STARTED = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
GOOD = AccountStatus.SUCCEEDED


def _account(
    status: AccountStatus = GOOD, exit_code: int = 0, *, quarantined: int = 0, suspects: int = 0
) -> AccountResult:
    return AccountResult(
        run_id=1,
        account_id=1,
        status=status,
        started_at=STARTED,
        exit_code=exit_code,
        quarantined=quarantined,
        suspects=suspects,
    )


def _failed(exit_code: int) -> AccountResult:
    return _account(AccountStatus.FAILED, exit_code)


HELD = _account(AccountStatus.HELD, 3)
CLAIMED = _account(AccountStatus.CLAIMED, 3)


@pytest.mark.parametrize(
    ("accounts", "status", "exit_code"),
    [
        ([], RunStatus.SUCCEEDED, 0),
        ([_account(), _account()], RunStatus.SUCCEEDED, 0),
        ([_account(), _account(quarantined=1)], RunStatus.PARTIAL, 3),
        ([_account(suspects=1)], RunStatus.PARTIAL, 3),
        ([_account(), _failed(77)], RunStatus.PARTIAL, 3),
        ([_account(), HELD], RunStatus.PARTIAL, 3),
        ([HELD], RunStatus.HELD, 3),
        ([_failed(77)], RunStatus.FAILED, 77),
        ([_failed(75), _failed(75)], RunStatus.FAILED, 75),
        ([HELD, _failed(65)], RunStatus.FAILED, 65),
        ([_account(), CLAIMED], RunStatus.PARTIAL, 3),
        ([CLAIMED, _failed(77)], RunStatus.FAILED, 77),
        ([HELD, CLAIMED], RunStatus.HELD, 3),
    ],
)
def test_a_runs_outcome_follows_from_its_accounts(
    accounts: list[AccountResult], status: RunStatus, exit_code: int
) -> None:
    """All accounts complete: 0. Some published, or with suspects: 3. None: the code of the cause; held is 3."""
    assert outcome(accounts) == (status, exit_code)


def test_different_failures_of_all_accounts_are_a_failed_run() -> None:
    """Nothing is published, so the run has failed and does not exit 0."""
    status, exit_code = outcome([_failed(77), _failed(69)])
    assert status is RunStatus.FAILED
    assert exit_code != 0


def test_a_run_id_says_when_and_fits_a_double() -> None:
    """YYMMDDhhmmss in UTC and four digits: below 2^53, so JSON readers that know only doubles keep it whole."""
    run_id = new_run_id(datetime(2026, 1, 5, 6, 7, 8, tzinfo=UTC), random.Random(1))
    assert run_id // 10_000 == 260105060708
    assert new_run_id(datetime(2089, 12, 31, 23, 59, 59, tzinfo=UTC), random.Random(1)) < 2**53


def test_run_ids_sort_by_time() -> None:
    """A second later is a larger id, whatever the random digits."""
    ids = [new_run_id(STARTED + timedelta(seconds=n), random.Random(n)) for n in range(100)]
    assert ids == sorted(set(ids))


def test_run_ids_of_one_millisecond_differ_at_random() -> None:
    """Two runs that start in the same millisecond draw one of ten digits; a run that draws a taken id draws again."""
    drawn = {new_run_id(STARTED, random.Random(seed)) % 10 for seed in range(300)}
    assert len(drawn) == 10


def test_run_ids_sort_by_the_millisecond() -> None:
    """Whatever the digits: the later run has the larger id."""
    later = STARTED.replace(microsecond=STARTED.microsecond + 1000)
    assert all(new_run_id(STARTED, random.Random(n)) < new_run_id(later, random.Random(-n)) for n in range(50))
