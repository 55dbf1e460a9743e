"""Unreachable customers of an agent: known states, reported as failed by the run that finds them, later by a notice.

A customer that cannot be listed does not prove that its numbers are gone: its rows stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from msgspec.structs import replace

from etl.domain.runs import AccountResult, AccountStatus, Unreachable
from etl.errors import AccountRefused, Incomplete
from etl.extract.accounts import Account, Roster
from etl.store.accounts import KnownAccount

STAYS = "its rows stay as they were"
REASONS = {
    Unreachable.LEFT: f"this token can no longer read it; {STAYS}",
    Unreachable.NO_USER: f"the token sees no user of this customer (get.customer_users); {STAYS}",
    Unreachable.WAITING: f"the vendor has not activated the customer yet (waiting); {STAYS}",
    Unreachable.MANUAL_LOCK: f"the vendor has locked the customer (manual_lock); {STAYS}",
    Unreachable.LIMIT_LOCK: f"the customer has reached a limit at the vendor (limit_lock); {STAYS}",
    Unreachable.DEBT_LOCK: f"the customer is in debt at the vendor (debt_lock); {STAYS}",
    Unreachable.INACTIVE: f"the customer is switched off at the vendor (account_inactive); {STAYS}",
}
ONCE = "This is reported once"
_REMEDIES = {
    Unreachable.LEFT: f"If the customer has left, nothing needs to be done. {ONCE}",
    Unreachable.NO_USER: "Give the agent's key access to a user of the customer, or name one in [users] of vnsync.toml."
    f" {ONCE}",
}
_ABSENT = frozenset({Unreachable.LEFT, Unreachable.NO_USER})
"""Absent from the lists of the roster; which list lacks a customer may change with the rights of the key."""


def state_of(account: Account, refused: AccountRefused) -> Unreachable | None:
    """The known state of a customer whose listing is refused; None for a refusal that the operator has to act upon."""
    if account.state in _STATES:
        return _STATES[account.state]
    return Unreachable.INACTIVE if refused.mnemonic == Unreachable.INACTIVE else None


_STATES = {
    s.value: s for s in (Unreachable.WAITING, Unreachable.MANUAL_LOCK, Unreachable.LIMIT_LOCK, Unreachable.DEBT_LOCK)
}


def is_reported(reason: Unreachable, known: KnownAccount | None) -> bool:
    """Whether the last run that tried the account has reported this state."""
    last = known.unreachable if known else None
    return last is reason or (last in _ABSENT and reason in _ABSENT)


def not_listed(
    known: Mapping[int, KnownAccount], roster: Roster, wanted: Collection[int], chooses: Callable[[int], bool]
) -> tuple[dict[int, Unreachable], dict[int, Unreachable]]:
    """The accounts that a run cannot try: those to record as failed, and those that only get a notice.

    Accounts of the warehouse that are not in the roster were another token's, unless the last run that tried them also
    tried some that are `wanted` now. A run that `chooses` accounts reports no others.
    """
    together = {known[i].last_run_id for i in known.keys() & set(wanted)}
    absent = {i: Unreachable.LEFT for i, k in known.items() if k.synced and i not in roster.ids}
    absent |= {a.account_id: Unreachable.NO_USER for a in roster.without_user}
    recorded, mentioned = dict[int, Unreachable](), dict[int, Unreachable]()
    for account_id, reason in sorted(absent.items()):
        others = reason is Unreachable.LEFT and known[account_id].last_run_id not in together
        reported = others or is_reported(reason, known.get(account_id))
        if chooses(account_id):
            (mentioned if reported else recorded)[account_id] = reason
    return recorded, mentioned


def unreachable_result(
    run_id: int, account: Account, reason: Unreachable, known: KnownAccount | None, now: datetime
) -> AccountResult:
    """The result of an account that was not tried."""
    known = known or KnownAccount()
    untried = AccountResult(
        run_id=run_id,
        account_id=account.account_id,
        account_name=account.account_name or known.account_name,
        status=AccountStatus.FAILED,
        started_at=now,
    )
    return as_unreachable(untried, reason, known)


def as_unreachable(result: AccountResult, reason: Unreachable, known: KnownAccount) -> AccountResult:
    """The result with its known state; its exit code is 0 once the state was reported."""
    return replace(
        result,
        status=AccountStatus.UNREACHABLE,
        unreachable=reason,
        error=f"{REASONS[reason]}. {_REMEDIES.get(reason, ONCE)}",
        exit_code=0 if is_reported(reason, known) else Incomplete.exit_code,
    )
