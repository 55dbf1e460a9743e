"""Plan: the requests that a sync takes, and what it would publish. Nothing is written, not even the run's row."""

from __future__ import annotations

from contextlib import closing

from msgspec import Struct, field
from sqlalchemy import Engine

from etl.domain.events import Notice
from etl.domain.ports import Clock, Report
from etl.domain.runs import AccountResult, TableChange, outcome
from etl.errors import AccountRefused, Stopped, VnsyncError
from etl.extract.accounts import Account, discover
from etl.extract.jsonrpc import DataApi
from etl.extract.prefetch import Fetcher, inline
from etl.store import migrations, schema_check
from etl.store.accounts import KnownAccount, known_accounts
from etl.store.connections import ConnectionCache
from etl.store.installations import Installation
from etl.sync.account import AccountSync
from etl.sync.context import SyncContext, SyncOptions
from etl.sync.scope import in_this_run, report_undescribed, wanted, without_fresh
from etl.sync.unreachable import as_unreachable, not_listed, state_of, unreachable_result

NO_RUN = 0
"""The run id in the results of a plan."""


class PlannedAccount(Struct, frozen=True, kw_only=True):
    """The plan of one account. `result`: as its row would be, `held` where the guard would stop it.

    `requests`: how many it takes; each answer costs a point. `tables`: the changes, also of an account that is held.
    """

    result: AccountResult
    requests: int
    tables: dict[str, TableChange] = field(default_factory=dict)


class Plan(Struct, frozen=True, kw_only=True):
    """The plan of a run. `requests`: with those for the roster.

    `points_left`, and `day_limit` for a whole day: None where points are unlimited.
    """

    exit_code: int
    requests: int
    points_left: int | None
    day_limit: int | None
    accounts: tuple[PlannedAccount, ...]


def plan(
    api: DataApi, engine: Engine, *, options: SyncOptions, clock: Clock, report: Report, fetcher: Fetcher = inline
) -> Plan:
    """List the accounts as `sync` would, and compute what it would publish.

    The failure of one account is in its result; `VnsyncError` is raised when no account can be tried.
    """
    migrations.check(engine)
    for warning in schema_check.check(engine):
        report(Notice(message=warning))
    installation = Installation.required(engine, api.url)
    roster, known = discover(api).given(options.users), known_accounts(engine)
    chosen = wanted(roster, options, report)
    accounts = without_fresh(chosen, known, options, clock.now(), report)
    planned: list[PlannedAccount] = []
    with closing(ConnectionCache(engine)) as connection_cache:
        shared = SyncContext(
            api=api,
            engine=engine,
            connection_cache=connection_cache,
            installation=installation,
            options=options,
            clock=clock,
            report=report,
            run_id=NO_RUN,
            fetcher=fetcher,
        )
        shared = in_this_run(shared, roster, accounts, known)
        for account in accounts:
            before = known.get(account.account_id, KnownAccount())
            sync = AccountSync(shared, account, before)
            planned.append(_planned(sync, account, before, agents=roster.role == "agent"))
    report_undescribed(shared)
    recorded, _ = not_listed(known, roster, {a.account_id for a in chosen}, options.chooses)
    for account_id, reason in recorded.items():
        account = Account(account_id=account_id)
        result = unreachable_result(NO_RUN, account, reason, known.get(account_id), clock.now())
        planned.append(PlannedAccount(result=result, requests=0))
    _, exit_code = outcome([one.result for one in planned])
    return Plan(
        exit_code=exit_code,
        requests=api.requests,
        points_left=api.points.left,
        day_limit=api.points.day_limit,
        accounts=tuple(planned),
    )


def _planned(sync: AccountSync, account: Account, known: KnownAccount, *, agents: bool) -> PlannedAccount:
    """The plan of one account. Its failure is in the result; an error that concerns all accounts is raised."""
    try:
        result = sync.dry_run()
        return PlannedAccount(result=result, requests=result.requests, tables=result.changes)
    except Stopped:
        raise
    except VnsyncError as exc:
        if exc.concerns_all:
            raise
        failed = sync.failed(exc)
        state = state_of(account, exc) if agents and isinstance(exc, AccountRefused) else None
        if state is not None:
            failed = as_unreachable(failed, state, known)
        return PlannedAccount(result=failed, requests=failed.requests)
