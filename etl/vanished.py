"""Customers of the warehouse that the token no longer reaches: no proof that a single number of theirs is gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from etl.domain.runs import AccountResult, AccountStatus
from etl.errors import AccountRefused
from etl.store.accounts import GONE, KnownAccount


def vanished(known: Mapping[int, KnownAccount], reached: Collection[int]) -> tuple[list[int], list[int]]:
    """The accounts out of reach, ascending: those to put on record as failed, and those for which a notice is enough.

    One that was still tried together with the others the last time is put on record, once. The rest may be another
    token's, or has been told before.
    """
    together = {known[i].last_run_id for i in known.keys() & reached}
    gone = sorted(known.keys() - set(reached))
    recorded = [i for i in gone if known[i].last_run_id in together and not known[i].missed]
    return recorded, [i for i in gone if i not in recorded]


def vanished_result(run_id: int, account_id: int, known: KnownAccount, now: datetime) -> AccountResult:
    """What is put on record of such an account."""
    return AccountResult(
        run_id=run_id,
        account_id=account_id,
        account_name=known.account_name,
        status=AccountStatus.FAILED,
        started_at=now,
        error=f"{GONE}. If the customer has left, nothing needs to be done: this is told once",
        exit_code=AccountRefused.exit_code,
    )
