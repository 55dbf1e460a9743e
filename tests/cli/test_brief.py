"""`--brief`: JSON of a fleet that fits on a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from etl.domain.runs import AccountResult, AccountStatus, RunResult, RunStatus, TableChange
from etl.read.status import AccountState, LastRun, Status
from etl.report import brief
from etl.report.values import as_json
from tests.support.running import Run, Source

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LONGEST = "the vendor answers get.virtual_numbers with: " + "internal_error: " * 20


def _result(account_id: int, status: AccountStatus, **more: Any) -> AccountResult:
    made = AccountResult(
        run_id=1, account_id=account_id, account_name=f"Customer {account_id}", status=status, started_at=NOON,
        requests=2, listed_numbers=50, observed_at=NOON,
    )  # fmt: skip
    return replace(made, **more)


def _run(*accounts: AccountResult) -> RunResult:
    return RunResult(
        run_id=1, status=RunStatus.PARTIAL, exit_code=3, started_at=NOON, finished_at=NOON, accounts=accounts
    )


@pytest.mark.parametrize("failed", [0, 25, 3000])
def test_three_thousand_accounts_fit_in_twenty_kilobytes(failed: int) -> None:
    """Whatever befell them: sums, the first accounts and ids of each cause, and how many were left out."""
    good = [
        _result(i, AccountStatus.SUCCEEDED, rows_opened=3, changes={"sites": TableChange(opened=3)})
        for i in range(3000 - failed)
    ]
    bad = [_result(9000 + i, AccountStatus.FAILED, error=f"{LONGEST} {i}", exit_code=69) for i in range(failed)]
    text = as_json(brief.of_run(_run(*good, *bad)))
    assert len(text.encode()) <= 20_000
    told = json.loads(text)
    assert told["sums"]["accounts"]["total"] == 3000
    assert told["sums"]["requests"] == 6000
    assert told["sums"]["rows"]["added"] == 3 * len(good)
    assert len(told["accounts"]) + told["left_out"]["accounts"] == failed
    assert sum(cause["count"] for cause in told["failures"]) == min(failed, brief.MOST) or len(told["failures"]) == 1


@pytest.mark.parametrize("failed", [0, 3000])
def test_the_status_of_three_thousand_accounts_fits_too(failed: int) -> None:
    """The oldest age, how many are late, and the accounts that need attention."""
    accounts = tuple(
        AccountState(
            account_id=i,
            account_name=f"Customer {i}",
            observed_at=NOON - timedelta(seconds=i),
            age_seconds=float(i),
            status="failed" if i < failed else "succeeded",
            listed_numbers=50,
            last_run_id=1,
            error=LONGEST if i < failed else None,
        )
        for i in range(3000)
    )
    last = LastRun(run_id=1, status="partial", started_at=NOON, finished_at=NOON, exit_code=3, error=None)
    text = as_json(brief.of_status(Status(accounts=accounts, last_run=last), {7}))
    assert len(text.encode()) <= 20_000
    told = json.loads(text)
    assert (told["sums"]["accounts"]["total"], told["sums"]["late"]) == (3000, 1)
    assert told["sums"]["oldest_age_seconds"] == 2999.0
    assert len(told["accounts"]) + told["left_out"]["accounts"] == (failed or 1)


def test_brief_sync_and_status_name_who_needs_attention(agency: Source, vnsync: Run) -> None:
    """A customer out of reach is listed, with its error; the others are counted."""
    first, second = agency.world.customer_ids
    agency.world.block(second, "forbidden")
    run = vnsync("sync", "--output", "json", "--brief", *agency.options).json
    assert run["exit_code"] == 3
    assert run["sums"]["accounts"] == {"total": 2, "failed": 1, "succeeded": 1}
    assert [a["account_id"] for a in run["accounts"]] == [second]
    status = vnsync("status", "--output", "json", "--brief").json
    assert status["sums"]["accounts"] == {"total": 2, "failed": 1, "succeeded": 1}
    assert [(a["account_id"], "forbidden" in a["error"]) for a in status["accounts"]] == [(second, True)]
    assert first not in [i for cause in status["failures"] for i in cause["accounts"]]


@pytest.mark.parametrize("command", ["sync", "status"])
def test_brief_is_for_json(vnsync: Run, command: str) -> None:
    """Without `--output json` it is a usage error that names the option."""
    done = vnsync(command, "--brief")
    assert done.code == 2
    assert "--output json" in done.err
