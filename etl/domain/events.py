"""What happens during a run, as plain data: the terminal's progress and the log lines are made from these."""

from __future__ import annotations

from dataclasses import dataclass

from etl.domain.runs import AccountResult, RunResult


@dataclass(frozen=True, kw_only=True)
class RunPrepared:
    """A run has its row, and what happens from now on belongs to it."""

    run_id: int


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A run knows its accounts; `accounts` is how many it will sync."""

    run_id: int
    source_url: str
    accounts: int


@dataclass(frozen=True, kw_only=True)
class AccountStarted:
    """An account sync begins; `expected` is how many numbers are open in the warehouse (0 on a first load)."""

    account_id: int
    account_name: str | None
    expected: int


@dataclass(frozen=True, kw_only=True)
class NumbersRead:
    """Another window was read: `read` of `expected` numbers so far; `points_left`: of the minute or day, if limited."""

    account_id: int
    read: int
    expected: int
    points_left: int | None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The run pauses for `seconds` because of `reason` (a minute limit, an error after which it tries again).

    `account_id`: the account that pauses, where several are under way. `retry`: which retry of the request follows.
    """

    seconds: float
    reason: str
    account_id: int | None = None
    retry: int | None = None


@dataclass(frozen=True, kw_only=True)
class Publishing:
    """The account's listing is whole; its changes are being compared and written."""

    account_id: int
    listed: int


@dataclass(frozen=True, kw_only=True)
class AccountFinished:
    """An account sync ended, well or not."""

    result: AccountResult


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something the operator should know, with the account it concerns, if one."""

    message: str
    account_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class RunFinished:
    """The run's row is in its last state."""

    result: RunResult


Event = (
    RunPrepared
    | RunStarted
    | AccountStarted
    | NumbersRead
    | Waiting
    | Publishing
    | AccountFinished
    | Notice
    | RunFinished
)
