"""Events of a run, as plain data: the terminal's progress and the log lines are made from them."""

from __future__ import annotations

from msgspec import Struct

from etl.domain.runs import AccountResult, RunResult


class RunPrepared(Struct, frozen=True, kw_only=True):
    """A run has its row; all later events belong to it."""

    run_id: int


class RunStarted(Struct, frozen=True, kw_only=True):
    """A run knows its accounts; `accounts`: how many it will sync."""

    run_id: int
    source_url: str
    accounts: int


class AccountStarted(Struct, frozen=True, kw_only=True):
    """An account sync begins; `expected`: how many numbers are open in the warehouse (0 on a first load)."""

    account_id: int
    account_name: str | None
    expected: int


class NumbersRead(Struct, frozen=True, kw_only=True):
    """A window was read: `read` of `expected` numbers so far; `points_left`: in the minute or day, if limited."""

    account_id: int
    read: int
    expected: int
    points_left: int | None


class Waiting(Struct, frozen=True, kw_only=True):
    """The run pauses for `seconds` because of `reason` (a minute limit, an error after which it tries again).

    `account_id`: the account that pauses, if several are under way. `retry`: the number of the retry that follows.
    """

    seconds: float
    reason: str
    account_id: int | None = None
    retry: int | None = None


class Publishing(Struct, frozen=True, kw_only=True):
    """The account's listing is complete; its changes are being compared and written."""

    account_id: int
    listed: int


class AccountFinished(Struct, frozen=True, kw_only=True):
    """An account sync ended, successfully or not."""

    result: AccountResult


class Notice(Struct, frozen=True, kw_only=True):
    """Message that the operator should know, and the account that it concerns, if any."""

    message: str
    account_id: int | None = None


class RunFinished(Struct, frozen=True, kw_only=True):
    """The run has ended; its row has its final state."""

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
