"""States of accounts that cannot be listed, and other viewers, in words for people."""

from __future__ import annotations

from etl.domain.runs import Unreachable

UNREACHABLE = {
    Unreachable.LEFT: "not readable with this token",
    Unreachable.NO_USER: "without a user that this token can see",
    Unreachable.WAITING: "not activated yet at the vendor",
    Unreachable.MANUAL_LOCK: "locked by the vendor",
    Unreachable.LIMIT_LOCK: "locked at the vendor for a limit",
    Unreachable.DEBT_LOCK: "locked at the vendor for debt",
    Unreachable.INACTIVE: "switched off at the vendor",
}
"""Each state as it follows the name of an account."""
OTHER_VIEWER = "not visible to the present key, login or user"
"""Numbers that another viewer listed, as they follow their count."""


def state(status: str) -> str:
    """The words for an unreachable account's status; the status itself where it is none of these."""
    return UNREACHABLE[Unreachable(status)] if status in set(Unreachable) else status


def approval(account_id: int) -> str:
    """The command that approves what the mass-close guard held, or closes what another viewer does not see."""
    return f"vnsync sync --account {account_id} --approve-close {account_id}"
