"""One run: it lists the roster, syncs the accounts, a few at a time, and records the result of each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Engine

import etl
from etl.domain.causes import NOT_TRIED
from etl.domain.events import AccountFinished, Notice, RunFinished, RunPrepared, RunStarted
from etl.domain.ports import Clock, Random, Report
from etl.domain.recorder import NO_RECORDER, Beginning, RunRecorder
from etl.domain.runs import AccountResult, AccountStatus, RunResult, RunStatus, Unreachable, outcome, reason
from etl.errors import (
    AccountRefused,
    OtherInstallation,
    Stopped,
    VnsyncError,
)
from etl.extract import prefetch
from etl.extract.accounts import Account, Roster, discover
from etl.extract.jsonrpc import DataApi
from etl.extract.prefetch import Fetcher
from etl.load import findings
from etl.store import migrations, runs, schema_check
from etl.store.accounts import KnownAccount, known_accounts
from etl.store.connections import ConnectionCache
from etl.store.installations import Installation
from etl.store.pools import keeping
from etl.sync import moved
from etl.sync.account import AccountSync
from etl.sync.account_workers import AccountWorkers
from etl.sync.concurrency import Cancellation
from etl.sync.context import SyncContext, SyncOptions
from etl.sync.pending import Pending
from etl.sync.roster_lease import FindRoster
from etl.sync.scope import (
    claimed_result,
    in_this_run,
    longest_unseen_first,
    report_undescribed,
    wanted,
    without_fresh,
)
from etl.sync.unreachable import REASONS, as_unreachable, not_listed, state_of, unreachable_result
from etl.workers.transformers import Transformers, inline

__all__ = ["SyncOptions", "sync"]


def sync(
    api: DataApi,
    engine: Engine,
    *,
    options: SyncOptions,
    clock: Clock,
    random: Random,
    report: Report,
    recorder: RunRecorder = NO_RECORDER,
    fetcher: Fetcher = prefetch.inline,
    transformers: Transformers = inline,
    find_roster: FindRoster = discover,
) -> RunResult:
    """Sync every account that the token reaches, or those asked for; each is published whole or not at all.

    `recorder`: records the run as evidence; its error prevents a commit. `fetcher`: fetches the next window while one
    is processed. `transformers`: transform the pages of a first load, here or in a worker process. `find_roster`:
    finds the token's accounts, here or with other processes.

    The failure of one account is in the result; `VnsyncError` with the run id is raised when no account can be tried.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(keeping(engine))
        migrations.check(engine)
        warnings = schema_check.check(engine)
        installation = Installation.required(engine, api.url)
        started = clock.now()
        running = runs.running(engine, clock=clock, random=random, source_url=api.url, version=etl.__version__)
        run_id = stack.enter_context(running)
        report(RunPrepared(run_id=run_id))
        for warning in warnings:
            report(Notice(message=warning))
        shared = SyncContext(
            api=api,
            engine=engine,
            connection_cache=ConnectionCache(engine),
            installation=installation,
            options=options,
            clock=clock,
            report=report,
            run_id=run_id,
            recorder=recorder,
            fetcher=fetcher,
            transformers=transformers,
        )
        run = _Run(shared, started, find_roster)
        with run.ended_by_errors():
            return run.work()


class _Run:
    """The state of one run."""

    def __init__(self, shared: SyncContext, started: datetime, find_roster: FindRoster) -> None:
        self._shared, self._started, self._find_roster = shared, started, find_roster
        self._run_id, self._clock, self._engine = shared.run_id, shared.clock, shared.engine
        self._options, self._report, self._recorder = shared.options, shared.report, shared.recorder
        self._accounts: tuple[Account, ...] = ()
        self._roster: Roster | None = None
        self._done: dict[int, AccountResult] = {}
        self._cancellation = Cancellation()

    def work(self) -> RunResult:
        runs.mark_dead(self._engine, self._clock.now(), self._run_id)
        self._recorder.begins(self._beginning())
        self._roster = roster = self._find_roster(self._shared.api).given(self._options.users)
        self._recorder.reaches({a.account_id: a.user_ids for a in roster.accounts})
        chosen = wanted(roster, self._options, self._report)
        findings.save_unusable(self._engine, self._run_id, roster.unusable, self._shared.notice)
        self._accounts = accounts = self._stale(chosen)
        free = self._claimed(accounts)
        self._report(RunStarted(run_id=self._run_id, source_url=self._shared.api.url, accounts=len(free)))
        known = known_accounts(self._engine)
        self._shared = in_this_run(self._shared, roster, free, known)
        pending = Pending(longest_unseen_first(free, known))
        self._each(pending, known)
        report_undescribed(self._shared)
        self._not_listed(known, chosen)
        for notice in moved.notices(self._engine, self._results, known.keys() | self._done.keys()):
            self._report(notice)
        return self._finish(self._result(*outcome(self._results, pending.hopeless), stopped_by=pending.hopeless))

    def _stale(self, chosen: tuple[Account, ...]) -> tuple[Account, ...]:
        if self._options.older_than is None:
            return chosen
        known, now = known_accounts(self._engine), self._clock.now()
        return without_fresh(chosen, known, self._options, now, self._report)

    def _claimed(self, accounts: Sequence[Account]) -> list[Account]:
        """The accounts that this run has claimed. Those that another run is syncing are results already."""
        holders = runs.claim(self._engine, self._run_id, [a.account_id for a in accounts], self._clock.now())
        for account in accounts:
            if (holder := holders.get(account.account_id)) is not None:
                result = claimed_result(self._run_id, account, holder, self._clock.now())
                self._done[account.account_id] = result
                self._report(AccountFinished(result=result))
        return [a for a in accounts if a.account_id not in holders]

    @property
    def _results(self) -> list[AccountResult]:
        """The results so far, in the roster's order."""
        return [self._done[a.account_id] for a in self._accounts if a.account_id in self._done]

    def _beginning(self) -> Beginning:
        options = self._options
        return Beginning(
            run_id=self._run_id,
            source_url=self._shared.api.url,
            version=etl.__version__,
            started_at=self._started,
            accounts=options.accounts,
            approve_close=options.approve_close,
            max_close_share=options.max_close_share,
            page_limit=options.page_limit,
        )

    def _each(self, pending: Pending, known: dict[int, KnownAccount]) -> None:
        def sync_account(shared: SyncContext, account: Account) -> VnsyncError | None:
            return self._one(shared, account, known.get(account.account_id, KnownAccount()))

        AccountWorkers(self._shared, pending, sync_account, self._cancellation).run(len(self._accounts))
        if pending.hopeless is not None:
            self._give_up(pending.rest(), pending.hopeless)

    def _one(self, shared: SyncContext, account: Account, known: KnownAccount) -> VnsyncError | None:
        """Sync one account and record its result; the error that it failed with, or None."""
        sync = AccountSync(shared, account, known)
        try:
            result = sync.publish()
        except (Stopped, OtherInstallation):
            raise
        except VnsyncError as exc:
            self._cancellation.raise_if_cancelled()  # an account that was interrupted has not failed
            failed, state = sync.failed(exc), self._known_state(account, exc)
            self._record(failed if state is None else as_unreachable(failed, state, known))
            return exc
        self._keep(result)
        return None

    def _known_state(self, account: Account, exc: VnsyncError) -> Unreachable | None:
        """The known state for which an agent's customer cannot be listed, if it is one."""
        agents = self._roster is not None and self._roster.role == "agent"
        return state_of(account, exc) if agents and isinstance(exc, AccountRefused) else None

    def _give_up(self, rest: Sequence[Account], reason: VnsyncError) -> None:
        """Record the accounts that were not begun as failed, for the reason for which the run gave up."""
        for account in rest:
            untried = AccountResult(
                run_id=self._run_id,
                account_id=account.account_id,
                account_name=account.account_name,
                status=AccountStatus.FAILED,
                started_at=self._clock.now(),
                error=f"{NOT_TRIED}{reason}. {reason.remedy}",
                exit_code=reason.exit_code,
            )
            self._record(untried)

    def _not_listed(self, known: dict[int, KnownAccount], chosen: tuple[Account, ...]) -> None:
        """Record or mention the accounts that could not be tried: customers that left, and those without a user."""
        assert self._roster is not None
        wanted_ids = {a.account_id for a in chosen}
        recorded, mentioned = not_listed(known, self._roster, wanted_ids, self._options.chooses)
        named = {a.account_id: a for a in self._roster.without_user}
        for account_id, why in recorded.items():
            account = named.get(account_id, Account(account_id=account_id))
            self._accounts = (*self._accounts, account)
            now = self._clock.now()
            self._record(unreachable_result(self._run_id, account, why, known.get(account_id), now))
        for account_id, why in mentioned.items():
            self._shared.notice(REASONS[why], account_id)

    def _record(self, result: AccountResult) -> None:
        self._keep(runs.record_unpublished(self._engine, result))

    def _keep(self, result: AccountResult) -> None:
        self._done[result.account_id] = result
        self._recorder.settles(result)
        self._report(AccountFinished(result=result))

    def _result(
        self, status: RunStatus, exit_code: int, error: str | None = None, stopped_by: VnsyncError | None = None
    ) -> RunResult:
        return RunResult(
            run_id=self._run_id,
            status=status,
            exit_code=exit_code,
            started_at=self._started,
            finished_at=self._clock.now(),
            accounts=tuple(self._results),
            error=error or reason(self._results, exit_code),
            stopped_by=stopped_by,
        )

    def _finish(self, result: RunResult) -> RunResult:
        runs.finish(self._engine, result)
        self._recorder.ends(result)
        self._report(RunFinished(result=result))
        return result

    @contextlib.contextmanager
    def ended_by_errors(self) -> Iterator[None]:
        """End the run's row whatever stops the run; the error is raised with the run id and the results."""
        try:
            yield
        except VnsyncError as exc:
            exc.run_id = self._run_id
            exc.run = result = self._result(self._broken_off(exc), exc.exit_code, str(exc))
            with contextlib.suppress(VnsyncError):
                self._finish(result)
            raise

    def _broken_off(self, exc: VnsyncError) -> RunStatus:
        if exc.exit_code > 128:
            return RunStatus.INTERRUPTED
        published = any(a.status is AccountStatus.SUCCEEDED for a in self._results)
        return RunStatus.PARTIAL if published else RunStatus.FAILED
