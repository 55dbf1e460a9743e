"""Words for the states of accounts that cannot be listed, and for numbers that the current viewer does not see."""

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
"""Words for each state, to follow the name of an account."""
OTHER_VIEWER = "not visible to the current key, login or user"
"""Words for numbers that another viewer listed, to follow their count."""


def state(status: str) -> str:
    """Words for an unreachable account's status; any other status unchanged."""
    return UNREACHABLE[Unreachable(status)] if status in set(Unreachable) else status


def approval(account_id: int) -> str:
    """Command that approves the close that the mass-close guard held, or closes numbers that the viewer cannot see."""
    return f"vnsync sync --account {account_id} --approve-close {account_id}"
