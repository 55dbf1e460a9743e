"""Descriptions of many accounts, requested side by side under one pace of the token's points."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from etl.domain.ports import Clock, Report
from etl.extract.accounts import Account, Description, describe
from etl.extract.jsonrpc import DataApi
from etl.sync.concurrency import CancellableClock, Cancellation, run_workers


def describe_all(
    api: DataApi, accounts: Sequence[Account], *, at_once: int, clock: Clock, report: Report
) -> dict[int, Description]:
    """Name and time zone of each account by its id, through its first user; costs a point for each account.

    The first error that concerns all requests ends the others and is raised.
    """
    rest, lock = deque(accounts), threading.Lock()
    found: dict[int, Description] = {}
    open_apis: list[DataApi] = []
    cancellation = Cancellation()
    cancellable = CancellableClock(clock, cancellation)

    def following() -> Account | None:
        with lock:
            return rest.popleft() if rest else None

    def work() -> None:
        with api.for_thread(clock=cancellable, report=report) as own:
            open_apis.append(own)
            while (account := following()) is not None:
                found[account.account_id] = describe(own, account, account.user_ids[0])

    def interrupt() -> None:
        for one in open_apis:
            one.abandon()

    run_workers(min(at_once, len(accounts)), work, cancellation=cancellation, interrupt=interrupt)
    return found
