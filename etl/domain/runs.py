"""Runs and account syncs: their states, their outcome, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class RunStatus(StrEnum):
    """States of a row in `sync_runs`; every one but `running` is final."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    HELD = "held"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class AccountStatus(StrEnum):
    """States of a row in `account_syncs`."""

    SUCCEEDED = "succeeded"
    HELD = "held"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


class Unreachable(StrEnum):
    """Reasons why an agent's customer cannot be listed though nothing is broken: known states, each told once.

    The middle four are the words of `get.customers`.
    """

    LEFT = "left"
    NO_USER = "no_user"
    WAITING = "waiting"
    MANUAL_LOCK = "manual_lock"
    LIMIT_LOCK = "limit_lock"
    DEBT_LOCK = "debt_lock"
    INACTIVE = "account_inactive"


class Strategy(StrEnum):
    """How an account was listed: by id windows (whole by construction) or by offsets (with the same proof)."""

    WINDOWS = "id_windows"
    OFFSETS = "offsets"


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """How many versions an account sync opened and closed in one table."""

    opened: int = 0
    closed: int = 0


@dataclass(frozen=True, kw_only=True)
class AccountResult:
    """The outcome of one account sync: the columns of `account_syncs`, the name, and the changes table by table.

    `viewer_changed`: it was listed by another viewer than the account's last one, and some of its numbers were not
    seen. `unreachable`: why, where that is the status; `exit_code` is 0 then once the state was told.
    """

    run_id: int
    account_id: int
    account_name: str | None = None
    timezone: str | None = None
    listed_by_user_id: int | None = None
    listed_by_credential: str | None = None
    viewer_changed: bool = False
    status: AccountStatus
    unreachable: Unreachable | None = None
    started_at: datetime
    observed_at: datetime | None = None
    strategy: Strategy | None = None
    requests: int = 0
    retries: int = 0
    reported_total: int | None = None
    listed_numbers: int | None = None
    unaccounted: int = 0
    suspects: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    rows_opened: int = 0
    rows_closed: int = 0
    chain_digest: str | None = None
    error: str | None = None
    exit_code: int = 0
    changes: dict[str, TableChange] = field(default_factory=dict)

    @property
    def is_told(self) -> bool:
        """Whether the account is unreachable for a reason that an earlier run has reported."""
        return self.status is AccountStatus.UNREACHABLE and self.exit_code == 0


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The outcome of one run; `error` is the one line that explains an exit code other than 0."""

    run_id: int
    status: RunStatus
    exit_code: int
    started_at: datetime
    finished_at: datetime
    accounts: tuple[AccountResult, ...] = ()
    error: str | None = None


def outcome(accounts: Sequence[AccountResult]) -> tuple[RunStatus, int]:
    """Status and exit code of a run from its accounts: all well 0, some published 3, else what stopped the first.

    A quarantined record or a suspect leaves its account published but not whole: `partial`, exit 3. An account that
    is unreachable counts in the run that finds it so, and not afterwards.
    """
    accounts = [a for a in accounts if not a.is_told]
    published = [a for a in accounts if a.status is AccountStatus.SUCCEEDED]
    if len(published) == len(accounts):
        whole = not any(a.quarantined or a.suspects for a in published)
        return (RunStatus.SUCCEEDED, 0) if whole else (RunStatus.PARTIAL, 3)
    if published:
        return RunStatus.PARTIAL, 3
    failed = [a.exit_code for a in accounts if a.status is AccountStatus.FAILED]
    if failed:
        return RunStatus.FAILED, failed[0]
    held = any(a.status is AccountStatus.HELD for a in accounts)
    return RunStatus.HELD if held else RunStatus.PARTIAL, 3


def reason(accounts: Sequence[AccountResult], exit_code: int) -> str | None:
    """Why a run ended with its exit code: the error of the first account that has it, or that has any."""
    troubled = [a for a in accounts if a.error and not a.is_told]
    told = [a for a in troubled if a.exit_code == exit_code] or troubled
    return f"account {told[0].account_id}: {told[0].error}" if told else None
