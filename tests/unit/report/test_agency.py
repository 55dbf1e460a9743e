"""The demo's table of days."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from etl.domain.runs import AccountResult, AccountStatus, RunResult, RunStatus
from etl.report.agency import DemoDay, days_table

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(("opened", "added"), [(70, "12"), (0, "")])
def test_a_quiet_day_is_blank(opened: int, added: str) -> None:
    """On the first day all is added; on a quiet one nothing is, and no kind of change has a nought."""
    account = AccountResult(
        run_id=1,
        account_id=7,
        account_name="Seven",
        status=AccountStatus.SUCCEEDED,
        started_at=NOW,
        observed_at=NOW,
        listed_numbers=12,
        rows_opened=opened,
    )
    run = RunResult(
        run_id=1, status=RunStatus.SUCCEEDED, exit_code=0, started_at=NOW, finished_at=NOW, accounts=(account,)
    )
    (row,) = days_table([DemoDay(day=1, result=run, changes={})]).rows
    assert row == ["2026-01-10", 7, "Seven", "12", added, *[""] * 5]
