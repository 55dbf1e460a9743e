"""Due dates of requests for customers' names and time zones, spread so that a fleet does not pay for all on one day."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from etl.store.accounts import KnownAccount

DESCRIBED_EVERY = timedelta(days=7)
COMPARED_EVERY = timedelta(days=35)
"""How often the totals of a customer's other users are compared: each request costs a point."""
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_SPREAD = 2_654_435_761
"""A multiplier that scatters neighbouring ids over 32 bits."""


def is_due(account_id: int, last: datetime | None, now: datetime, every: timedelta) -> bool:
    """Whether a request is due: each account has its own moment in every period, and none waits longer than one."""
    if last is None or last > now or now - last >= every:
        return True
    offset = every * ((account_id * _SPREAD % 2**32) / 2**32)
    return (now - _EPOCH - offset) // every > (last - _EPOCH - offset) // every


def to_describe(accounts: Collection[int], known: Mapping[int, KnownAccount], now: datetime) -> frozenset[int]:
    """The accounts whose name and zone a run requests: those that are due, or else the one requested longest ago."""
    asked = {i: known[i].described_at if i in known else None for i in accounts}
    due = {i for i, last in asked.items() if is_due(i, last, now, DESCRIBED_EVERY)}
    longest_ago = min(asked, key=lambda i: (asked[i] or _EPOCH, i), default=None)
    return frozenset(due) if due or longest_ago is None else frozenset({longest_ago})


def is_scarce(left: int | None, customers: int) -> bool:
    """Whether the day's points are too few to list and describe every customer: then they are kept for listings."""
    return left is not None and left < 2 * customers
