"""Runs and account syncs: their states, their outcome, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from etl.domain.causes import Failure, causes, others
from etl.domain.figures import counted
from etl.errors import VnsyncError


class RunStatus(StrEnum):
    """States of a row in `sync_runs`; every one but `running` is final."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    HELD = "held"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class AccountStatus(StrEnum):
    """States of a row in `account_syncs`; an account that another run has claimed gets no row from this one."""

    SUCCEEDED = "succeeded"
    HELD = "held"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    CLAIMED = "claimed"


class Unreachable(StrEnum):
    """Reasons why an agent's customer cannot be listed although nothing is broken: known states, each reported once.

    The middle four are states as `get.customers` names them.
    """

    LEFT = "left"
    NO_USER = "no_user"
    WAITING = "waiting"
    MANUAL_LOCK = "manual_lock"
    LIMIT_LOCK = "limit_lock"
    DEBT_LOCK = "debt_lock"
    INACTIVE = "account_inactive"


class Strategy(StrEnum):
    """How an account was listed: by id windows (complete by construction) or by offsets (with the same proof)."""

    WINDOWS = "id_windows"
    OFFSETS = "offsets"


class TableChange(Struct, frozen=True, kw_only=True):
    """How many versions an account sync opened and closed in one table; `changed`: rows for which it did both."""

    opened: int = 0
    closed: int = 0
    changed: int = 0

    @property
    def added(self) -> int:
        """Rows that were added."""
        return self.opened - self.changed

    @property
    def removed(self) -> int:
        """Rows that were removed."""
        return self.closed - self.changed

    def __add__(self, other: TableChange) -> TableChange:
        """The sum of both changes."""
        return TableChange(
            opened=self.opened + other.opened,
            closed=self.closed + other.closed,
            changed=self.changed + other.changed,
        )


class AccountResult(Struct, frozen=True, kw_only=True):
    """Outcome of one account sync: the columns of `account_syncs`, the name, and the changes by table.

    `viewer_changed`: it was listed by another viewer than the account's last one, and some of its numbers were not
    seen. `unreachable`: the reason, if that is the status; `exit_code` is 0 then if an earlier run reported it.
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
    def rows(self) -> TableChange:
        """The changes of all tables together."""
        changes = self.changes.values()
        changed = sum(c.changed for c in changes)
        return TableChange(opened=self.rows_opened, closed=self.rows_closed, changed=changed)

    @property
    def is_already_reported(self) -> bool:
        """Whether the account is unreachable for a reason that an earlier run has reported."""
        return self.status is AccountStatus.UNREACHABLE and self.exit_code == 0


class RunResult(Struct, frozen=True, kw_only=True):
    """Outcome of one run; `error`: the line that explains an exit code other than 0.

    `stopped_by`: the error after which no account could continue, if any.
    """

    run_id: int
    status: RunStatus
    exit_code: int
    started_at: datetime
    finished_at: datetime
    accounts: tuple[AccountResult, ...] = ()
    error: str | None = None
    stopped_by: VnsyncError | None = None

    @property
    def published(self) -> int:
        """How many accounts were published."""
        return sum(account.status is AccountStatus.SUCCEEDED for account in self.accounts)


def outcome(accounts: Sequence[AccountResult], stopped_by: VnsyncError | None = None) -> tuple[RunStatus, int]:
    """Status and exit code of a run, from its accounts: 0 if all succeeded, 3 if some did, else the first one's code.

    `stopped_by`: the error after which no account could continue; its code is used, whatever was published before.
    A quarantined record or a suspect leaves its account published but incomplete: `partial`, exit 3. An unreachable
    account counts in the run that reports it first, not in later ones. An account that another run has claimed leaves
    this run incomplete, and changes nothing where others explain the code.
    """
    others = [a for a in accounts if a.status is not AccountStatus.CLAIMED]
    status, exit_code = _outcome(others, stopped_by)
    return (RunStatus.PARTIAL, 3) if exit_code == 0 and len(others) < len(accounts) else (status, exit_code)


def _outcome(accounts: Sequence[AccountResult], stopped_by: VnsyncError | None) -> tuple[RunStatus, int]:
    accounts = [a for a in accounts if not a.is_already_reported]
    published = [a for a in accounts if a.status is AccountStatus.SUCCEEDED]
    if len(published) == len(accounts):
        whole = not any(a.quarantined or a.suspects for a in published)
        return (RunStatus.SUCCEEDED, 0) if whole else (RunStatus.PARTIAL, 3)
    if published:
        return RunStatus.PARTIAL, 3 if stopped_by is None else stopped_by.exit_code
    failed = [a.exit_code for a in accounts if a.status is AccountStatus.FAILED]
    if failed:
        return RunStatus.FAILED, failed[0]
    held = any(a.status is AccountStatus.HELD for a in accounts)
    return RunStatus.HELD if held else RunStatus.PARTIAL, 3


def reason(accounts: Sequence[AccountResult], exit_code: int) -> str | None:
    """Line that explains a run's exit code: of its causes (or all) the one that stopped most accounts, and how many."""
    stopped = causes(failures(accounts))
    eligible = [cause for cause in stopped if cause.exit_code == exit_code] or stopped
    if not eligible:
        return None
    worst = max(eligible, key=lambda cause: len(cause.failures))
    several = len(worst.failures)
    who = f"account {worst.failures[0].account_id}" if several == 1 else counted(several, "account")
    return f"{who}: {worst.error.rstrip('.')}{others(stopped)}"


def failures(accounts: Iterable[AccountResult]) -> list[Failure]:
    """The accounts that were not published, except those whose state an earlier run has reported."""
    return [
        Failure(
            account_id=account.account_id,
            account_name=account.account_name,
            status=account.status.value,
            error=account.error or "no reason is on record",
            exit_code=account.exit_code,
        )
        for account in accounts
        if account.status is not AccountStatus.SUCCEEDED and not account.is_already_reported
    ]
