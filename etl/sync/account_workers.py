"""Workers of a run: each takes one account after another from the queue, with connections of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

from msgspec import Struct
from msgspec.structs import replace

from etl.domain.events import Event, Notice, Waiting
from etl.domain.ports import Report
from etl.errors import NoConnectionFree, VnsyncError
from etl.extract.accounts import Account
from etl.extract.jsonrpc import DataApi
from etl.store import threads
from etl.store.connections import ConnectionCache
from etl.sync.concurrency import CancellableClock, Cancellation, GivenUp, Slot, run_workers
from etl.sync.context import SyncContext
from etl.sync.pending import Pending

CONNECTION_TRIES, CONNECTION_PAUSE = 5, 2.0
"""How often the last worker asks for a database connection, and the seconds between."""

SyncAccount = Callable[[SyncContext, Account], VnsyncError | None]
"""Syncs an account and records its result; gives the error that it failed with."""


class _WorkerReport(Struct):
    """Reports the events of a worker, with the id of the account it works on."""

    report: Report
    account_id: int | None = None

    def __call__(self, event: Event) -> None:
        """Pass the event on."""
        if isinstance(event, Waiting | Notice) and event.account_id is None:
            event = replace(event, account_id=self.account_id)
        self.report(event)


class AccountWorkers:
    """The workers of one run; `shared`: its context; `sync_account`: what a worker does with each account."""

    def __init__(
        self, shared: SyncContext, pending: Pending, sync_account: SyncAccount, cancellation: Cancellation
    ) -> None:
        self._shared, self._pending, self._sync_account = shared, pending, sync_account
        self._cancellation = cancellation
        self._notice_lock, self._fewer_noticed = threading.Lock(), False

    def run(self, accounts: int) -> None:
        """Sync the accounts of the queue, in this thread or in several; return when no worker goes on."""
        shared = self._shared
        at_once = min(shared.options.concurrency, accounts) if threads.takes_threads(shared.engine) else 1
        if at_once > 1:
            self._run_threads(at_once, min(2 * at_once, accounts))
            return
        with closing(shared.connection_cache):
            self._work(shared)

    def _run_threads(self, at_once: int, workers: int) -> None:
        """List `at_once` accounts at once; each worker has its own connections to the source and the warehouse.

        There are twice as many workers, so that small accounts are prepared and written while others are listed.
        """
        run, open_apis, slots = self._shared, list[DataApi](), threading.Semaphore(at_once)
        clock = CancellableClock(run.clock, self._cancellation)

        def work() -> None:
            report = _WorkerReport(run.report)
            own_api = run.api.for_thread(clock=clock, report=report)
            with own_api as api, closing(ConnectionCache(run.engine)) as connections:
                open_apis.append(api)
                slot = Slot(slots, lambda: self._pending.hopeless is not None)
                shared = replace(run, api=api, connection_cache=connections, clock=clock, report=report, slot=slot)
                self._work(shared, report)

        def interrupt() -> None:
            for api in open_apis:
                api.abandon()
            threads.interrupt(run.engine)

        run_workers(workers, work, cancellation=self._cancellation, interrupt=interrupt)

    def _work(self, shared: SyncContext, report: _WorkerReport | None = None) -> None:
        """Sync one account after another until none is left, or the run gives up."""
        self._pending.begin()
        while True:
            if (account := self._pending.next()) is None or not self._connected(shared, account):
                return
            if report is not None:
                report.account_id = account.account_id
            try:
                with shared.slot.account():
                    self._pending.ended(self._sync_account(shared, account))
            except GivenUp:
                self._pending.put_back(account)

    def _connected(self, shared: SyncContext, account: Account) -> bool:
        """Whether the worker has a connection; where the server gives none, the account goes back to the queue.

        The last worker asks several times, because workers that just ended are closing their connections.
        """
        for _ in range(CONNECTION_TRIES):
            try:
                shared.connection_cache.make_ready()
            except NoConnectionFree:
                if self._pending.give_back(account):
                    self._notice_fewer()
                    return False
                shared.clock.sleep(CONNECTION_PAUSE)
            else:
                return True
        return True  # the account then fails as one whose database cannot be reached

    def _notice_fewer(self) -> None:
        """Report once that the server gives fewer connections than the run takes."""
        with self._notice_lock:
            noticed, self._fewer_noticed = self._fewer_noticed, True
        if not noticed:
            at_once = self._shared.options.concurrency
            self._shared.notice(
                f"the database gives no more connections, so fewer accounts are synced at once: --concurrency {at_once}"
                f" takes up to {2 * at_once + 1}; lower it, or allow this role more (ALTER ROLE ... CONNECTION LIMIT)"
            )
