"""A run without its commits: what it takes and what it would publish. Nothing is written, not even the run's row."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine

from etl.account_sync import AccountSync
from etl.domain.events import Notice
from etl.domain.ports import Clock, Report
from etl.domain.runs import AccountResult, AccountStatus, outcome
from etl.errors import DayLimit, Held, SessionExpired, Stopped, VnsyncError
from etl.extract.accounts import discover
from etl.extract.ahead import Fetcher, inline
from etl.extract.jsonrpc import DataApi
from etl.extract.proof import Proof
from etl.load.publish import AccountLoad
from etl.pipeline import wanted
from etl.store import migrations, soundness
from etl.store.accounts import KnownAccount, known_accounts
from etl.store.lending import Lender
from etl.surroundings import Surroundings, SyncOptions
from etl.vanished import vanished, vanished_result

NO_RUN = 0
"""The run id of a run that is none."""


@dataclass(frozen=True, kw_only=True)
class PlannedTable:
    """What would become of one table: versions opened and closed, as `sync` counts them; `changed` are in both."""

    opened: int
    closed: int
    changed: int

    @property
    def added(self) -> int:
        """Keys that would come."""
        return self.opened - self.changed

    @property
    def removed(self) -> int:
        """Keys that would go."""
        return self.closed - self.changed


@dataclass(frozen=True, kw_only=True)
class PlannedAccount:
    """What would become of one account. `result` is as its row would be, with `held` where the guard would stop it.

    `requests`: how many it takes; each answered one costs a point. `tables`: also of a held account, were it approved.
    """

    result: AccountResult
    requests: int
    tables: dict[str, PlannedTable] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole of it. `requests`: for the roster too; `points_left`: of the minute or day, None where unlimited."""

    exit_code: int
    requests: int
    points_left: int | None
    accounts: tuple[PlannedAccount, ...]


def plan(
    api: DataApi, engine: Engine, *, options: SyncOptions, clock: Clock, report: Report, fetcher: Fetcher = inline
) -> Plan:
    """Read the accounts as `pipeline.sync` would, and work out what it would publish.

    What would fail for one account is in the plan; `VnsyncError` is raised when nothing could be tried.
    """
    migrations.check(engine)
    for warning in soundness.check(engine):
        report(Notice(message=warning))
    accounts, known = wanted(discover(api), options, report), known_accounts(engine)
    planned: list[PlannedAccount] = []
    with closing(Lender(engine)) as lender:
        shared = Surroundings(
            api=api,
            engine=engine,
            lender=lender,
            options=options,
            clock=clock,
            report=report,
            run_id=NO_RUN,
            fetcher=fetcher,
        )
        for account in accounts:
            sync = _Rehearsal(shared, account, known.get(account.account_id, KnownAccount()))
            planned.append(sync.rehearse())
            if sync.hopeless is not None:
                raise sync.hopeless
    if not options.accounts:
        recorded, _ = vanished(known, {a.account_id for a in accounts})
        lost = [vanished_result(NO_RUN, i, known[i], clock.now()) for i in recorded]
        planned += [PlannedAccount(result=result, requests=0) for result in lost]
    _, exit_code = outcome([one.result for one in planned])
    left = api.points.left
    return Plan(exit_code=exit_code, requests=api.requests, points_left=left, accounts=tuple(planned))


class _Rehearsal(AccountSync):
    """An account sync up to its commit."""

    hopeless: VnsyncError | None = None
    """Why no other account can be tried either."""

    def rehearse(self) -> PlannedAccount:
        """What would come of it; a failure is told, and only a signal is raised."""
        try:
            return self._rehearsed()
        except Stopped:
            raise
        except VnsyncError as exc:
            self.hopeless = exc if isinstance(exc, DayLimit | SessionExpired) else None
            failed = self.failed(exc)
            return PlannedAccount(result=failed, requests=failed.requests)

    def _rehearsed(self) -> PlannedAccount:
        with self._listed(straight=False) as listed:
            load, proof, facts = listed.load, listed.proof, listed.facts
            held = self._held(load, proof)
            changes, changed = load.rehearse(now=listed.now, gone=proof.gone, unreported=self._normalizer.unreported)
            result = self.failed(held) if held else self._result(AccountStatus.SUCCEEDED)
            tables = {
                name: PlannedTable(opened=c.opened, closed=c.closed, changed=changed.get(name, 0))
                for name, c in changes.items()
            }
            told = replace(
                result,
                account_name=facts.account_name,
                timezone=facts.timezone,
                listed_by_user_id=facts.listed_by_user_id,
                changes=changes,
                rows_opened=sum(c.opened for c in changes.values()),
                rows_closed=sum(c.closed for c in changes.values()),
            )
            return PlannedAccount(result=told, requests=told.requests, tables=tables)

    def _held(self, load: AccountLoad, proof: Proof) -> Held | None:
        try:
            self._guard(load, proof)
        except Held as exc:
            return exc
        return None
