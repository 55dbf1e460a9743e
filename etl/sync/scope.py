"""Scope of a run: the accounts to sync, and the parts of the context that depend on the roster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from etl.domain.events import Notice
from etl.domain.figures import counted
from etl.domain.ports import Report
from etl.errors import SourceUnusable, Usage
from etl.extract.accounts import Account, Roster
from etl.store.accounts import KnownAccount
from etl.sync.context import SyncContext, SyncOptions
from etl.sync.descriptions import to_describe


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
    return tuple(a for a in roster.accounts if not options.accounts or a.account_id in options.accounts)


def in_this_run(
    shared: SyncContext, roster: Roster, accounts: Sequence[Account], known: Mapping[int, KnownAccount]
) -> SyncContext:
    """The context with the credential's name, the roster, and the accounts whose descriptions are due."""
    names = sorted({k.viewer.credential for k in known.values() if k.viewer.credential})
    ids = [a.account_id for a in accounts] if roster.role == "agent" else []
    due = to_describe(ids, known, shared.clock.now())
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
