"""Bugs around the data: runs, claims, commits, outcomes."""

from __future__ import annotations

import contextlib
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.exc import DBAPIError

from etl.domain.runs import RunStatus
from etl.domain.tables import TABLES
from etl.errors import AccountRefused, LocalTrouble, Stopped
from etl.load import publish
from etl.store import installations, liveness, runs, schema
from etl.sync import account, run
from tests.simulation.mutants.planting import mutant


@mutant(runs, "consume_claim", "a lock without fencing: who was taken for dead publishes when it wakes up")
def no_fence(right: Any) -> Any:
    return lambda connection, run_id, account_id: None


@mutant(runs, "_take", "a run takes accounts from one that lives")
def claims_are_overwritten(right: Any) -> Any:
    def take(connection: Any, run_id: int, wanted: list[int]) -> dict[int, str]:
        claims = schema.account_claims
        connection.execute(delete(claims).where(claims.c.account_id.in_(wanted)))
        connection.execute(insert(claims), [{"account_id": a, "run_id": run_id} for a in wanted])
        return {}

    return take


@mutant(installations, "refuse_another", "any installation may write here", under=("other_installation",))
def any_installation_may_write(right: Any) -> Any:
    return lambda connection, origin: installations.in_force(connection)


@mutant(liveness, "is_dead", "the living are taken for dead")
def everybody_is_dead(right: Any) -> Any:
    return lambda connection, run_id: True


@mutant(liveness, "is_dead", "the dead are never noticed")
def nobody_dies(right: Any) -> Any:
    return lambda connection, run_id: False


@mutant(liveness, "_free_claims", "the dead keep their claims")
def the_dead_keep_claims(right: Any) -> Any:
    return lambda connection, run_ids: None


@mutant(runs, "hold_run", "a run holds no lock")
def no_lock(right: Any) -> Any:
    return lambda engine, run_id: contextlib.nullcontext(True)


@mutant(publish, "commit", "a commit without an answer is taken for done")
def no_answer_is_success(right: Any) -> Any:
    def commit(connection: Any, *_: Any) -> None:
        with contextlib.suppress(DBAPIError):
            connection.commit()

    return commit


@mutant(account.AccountSync, "publish", "what may have been committed is written once more")
def retry_after_unknown_commit(right: Any) -> Any:
    def again(self: Any) -> Any:
        try:
            return right(self)
        except LocalTrouble:
            fence = runs.consume_claim
            runs.consume_claim = lambda *_: None
            try:
                return right(self)
            finally:
                runs.consume_claim = fence

    return again


@mutant(runs, "finish", "a run's row is left running")
def run_never_ends(right: Any) -> Any:
    return lambda engine, result: None


@mutant(runs, "_still_running", "a final state is overwritten")
def final_is_not_final(right: Any) -> Any:
    return lambda run_id: (schema.sync_runs.c.run_id == run_id,)


@mutant(run._Run, "_record", "an account that failed leaves no trace")
def failures_are_ignored(right: Any) -> Any:
    return lambda self, result: None


@mutant(run._Run, "_one", "a signal to stop is taken for one account's failure")
def stop_is_swallowed(right: Any) -> Any:
    def one(self: Any, *account: Any) -> Any:
        try:
            return right(self, *account)
        except Stopped:
            return AccountRefused("stopped")

    return one


@mutant(run, "outcome", "every run that ends says that it succeeded")
def all_is_well(right: Any) -> Any:
    return lambda accounts, stopped_by=None: (RunStatus.SUCCEEDED, 0)


@mutant(
    run._Run,
    "_not_listed",
    "an account that the token no longer reaches is deleted",
    under=("customers_shrunk",),
)
def vanished_is_deleted(right: Any) -> Any:
    def notice(self: Any, known: Any, accounts: Any) -> None:
        gone = set(known) - {a.account_id for a in accounts}
        if gone and not self._options.accounts:
            with self._engine.begin() as connection:
                for table in (*TABLES[5:], *TABLES[:1]):
                    connection.execute(
                        delete(schema.current[table.name]).where(schema.current[table.name].c.account_id.in_(gone))
                    )

    return notice
