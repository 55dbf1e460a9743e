"""Scope of a run: the accounts to sync, and the parts of the context that depend on the roster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from etl.domain.events import Notice
from etl.domain.figures import counted, duration
from etl.domain.ports import Report
from etl.domain.runs import AccountResult, AccountStatus
from etl.errors import Incomplete, SourceUnusable, Usage
from etl.extract.accounts import Account, Roster
from etl.store.accounts import KnownAccount
from etl.sync.context import SyncContext, SyncOptions
from etl.sync.descriptions import is_scarce, to_describe


def wanted(roster: Roster, options: SyncOptions, report: Report) -> tuple[Account, ...]:
    """The accounts to sync: those chosen, or all that can be listed. Raises `Usage` or `SourceUnusable` without any.

    Customers without a user are not a usage error: they are reported as unreachable (`sync.unreachable`).
    """
    if not options.accounts and not roster.ids:
        raise SourceUnusable("this token can read no account", remedy="Check the agent's customers and users")
    if unknown := options.accounts - roster.ids:
        raise Usage(f"this token cannot read account {min(unknown)}", remedy="See `vnsync accounts`")
    for account_id in sorted(options.approve_close - roster.ids):
        report(Notice(message="this token cannot read it: there is nothing to approve", account_id=account_id))
    return tuple(a for a in roster.accounts if options.chooses(a.account_id))


def without_fresh(
    accounts: Sequence[Account], known: Mapping[int, KnownAccount], options: SyncOptions, now: datetime, report: Report
) -> tuple[Account, ...]:
    """The accounts without those whose last observation is not older than asked for; a notice counts them."""
    if options.older_than is None:
        return tuple(accounts)
    fresh = {i for i, k in known.items() if k.observed_at is not None and now - k.observed_at <= options.older_than}
    stale = tuple(a for a in accounts if a.account_id not in fresh)
    if left := len(accounts) - len(stale):
        were = "was" if left == 1 else "were"
        age = duration(options.older_than)
        report(Notice(message=f"{counted(left, 'account')} {were} observed in the last {age} and left out"))
    return stale


def longest_unseen_first(accounts: Sequence[Account], known: Mapping[int, KnownAccount]) -> list[Account]:
    """The accounts in the order of their last turn, those without any first.

    So a limit that ends the run meets those that have waited least, and each one has its turn in the end.
    """

    def turn(account: Account) -> tuple[datetime, int]:
        before = known.get(account.account_id)
        return (before.turn_at if before and before.turn_at else _NEVER, account.account_id)

    return sorted(accounts, key=turn)


_NEVER = datetime.min.replace(tzinfo=UTC)


def claimed_result(run_id: int, account: Account, holder: str, now: datetime) -> AccountResult:
    """The result of an account that another run, the `holder`, is about to publish; that run records it."""
    return AccountResult(
        run_id=run_id,
        account_id=account.account_id,
        account_name=account.account_name,
        status=AccountStatus.CLAIMED,
        started_at=now,
        error=f"it is being synced by {holder}. Nothing needs to be done: that run publishes it",
        exit_code=Incomplete.exit_code,
    )


def in_this_run(
    shared: SyncContext, roster: Roster, accounts: Sequence[Account], known: Mapping[int, KnownAccount]
) -> SyncContext:
    """The context with the credential's name, the roster, and the accounts whose descriptions are due."""
    names = sorted({k.viewer.credential for k in known.values() if k.viewer.credential})
    ids = [a.account_id for a in accounts] if roster.role == "agent" else []
    due = to_describe(ids, known, shared.clock.now())
    if due and is_scarce(shared.api.points_now().day_left(), len(roster.accounts)):
        due = frozenset()
        shared.notice("names and time zones are asked for when the day's points suffice for all customers")
    return replace(
        shared,
        credential=shared.api.credential(names),
        roster=roster.ids,
        to_describe=due | (shared.options.viewers.keys() & set(ids)),
    )


def report_undescribed(shared: SyncContext) -> None:
    """Report how many customers could not be asked for name and time zone, once for each cause."""
    for problem, count in shared.undescribed.most_common():
        customers = counted(count, "customer")
        shared.notice(f"{problem} ({customers}): names are those of get.customers, time zones stay as they are known")
