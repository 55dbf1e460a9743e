"""Verdicts on the end of a process: whether it fits the process's faults, its result, and the warehouse."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from tests.simulation.dump import Dump, Sync
from tests.simulation.response_log import ResponseLog
from tests.simulation.swarm import RESPONSE_FAULTS, ROSTER, TRANSPORT

NETWORK = frozenset(TRANSPORT)
CONFUSED = frozenset(
    ("unknown_error", "error_without_data", "filter_prohibited", "filter_unknown", *RESPONSE_FAULTS, *ROSTER)
)
OTHER_RUNS = frozenset(("second_runner", "zombie", "same_scope"))
"""Faults in which another run works on the same accounts meanwhile."""
ABSENT = frozenset(("left", "no_user"))
"""Two reasons for one state: the lists of the API do not name the customer."""
MAY_CAUSE: dict[int, frozenset[str]] = {
    2: frozenset((*ROSTER, "forbidden", "userless", "customers_refused")),
    65: CONFUSED | {"forbidden", "userless"},
    69: NETWORK | {"internal_error", "error_without_data", "zombie"},  # suspended in a request until the deadline
    70: frozenset({"stranger"}),
    74: frozenset({"disk_full", "lost_commit", "commit_failed"}),
    75: frozenset(
        {
            "busy",
            "day_limit",
            "minute_limit",
            "odd_limits",
            "second_runner",
            "zombie",
            "same_scope",
            "http_429",
            "upgrade",
        }
    ),
    77: frozenset({"forbidden", "session_expired", "http_403", "error_without_data", "user_refused"}),
    78: frozenset({"http_404", "redirect", "forbidden"}),
    143: frozenset({"stop"}),
}
"""Faults that may end a run with an exit code; any other end is an error of the program."""


def of_ending(
    dump: Dump,
    response_log: ResponseLog,
    *,
    exit_code: int | None,
    run_id: int | None,
    faults: Collection[str],
    scoped: bool,
) -> Iterator[str]:
    """The contradictions. `faults`: all faults that struck the process."""
    if response_log.beyond_spent:
        yield f"I18: {response_log.beyond_spent} requests after the day's points were told to be used up"
    rows = {s.account_id: s for s in dump.syncs.values() if s.run_id == run_id}
    if exit_code not in (0, 3) and not MAY_CAUSE.get(exit_code or 1, frozenset()) & set(faults):
        yield f"exit code {exit_code}, and nothing that befell the run explains it: {sorted(faults)}"
    if exit_code == 0:
        yield from _complete(rows, response_log, scoped, _unreachable(dump))
        yield from _untold(dump, rows, faults)
    if exit_code == 3 and all(_whole(s) or _is_told(dump, s) for s in rows.values()) and not OTHER_RUNS & set(faults):
        yield "exit code 3, and every account is published and whole, or out of reach since an earlier run"


def _untold(dump: Dump, rows: dict[int, Any], faults: Collection[str]) -> Iterator[str]:
    """Unreachable accounts that the run which found them does not report."""
    for sync in rows.values():
        if sync.status == "unreachable" and not _is_told(dump, sync) and not OTHER_RUNS & set(faults):
            yield f"exit code 0, and account {sync.account_id} is {sync.unreachable}, which no run reported"


def _is_told(dump: Dump, sync: Sync) -> bool:
    """Whether the last run that tried the account also found it in this state."""
    earlier = [s for (_, account_id), s in sorted(dump.syncs.items()) if account_id == sync.account_id]
    last = next((s.unreachable for s in reversed(earlier) if s.run_id < sync.run_id), None)
    absent = last in ABSENT and sync.unreachable in ABSENT
    return sync.status == "unreachable" and (last == sync.unreachable or absent)


def _whole(sync: Any) -> bool:
    return sync.status == "succeeded" and not sync.suspects and not sync.quarantined


def _unreachable(dump: Dump) -> set[int]:
    """Unreachable accounts: only the first run that finds the state reports it."""
    last = {sync.account_id: sync.status for _, sync in sorted(dump.syncs.items())}
    return {account_id for account_id, status in last.items() if status == "unreachable"}


def _complete(rows: dict[int, Any], response_log: ResponseLog, scoped: bool, unreachable: set[int]) -> Iterator[str]:
    if not rows and not unreachable:
        yield "exit code 0 without one account sync"
    for sync in rows.values():
        if not _whole(sync) and sync.status != "unreachable":
            yield f"exit code 0, and account {sync.account_id} is {sync.status} with {sync.suspects} suspects"
    if not scoped and response_log.roster is not None and not response_log.roster <= rows.keys() | unreachable:
        yield f"exit code 0, and accounts {sorted(response_log.roster - rows.keys())} were left out"


def of_result(dump: Dump, result: Any, *, run_id: int | None, excused: bool, beside: bool) -> Iterator[str]:
    """Contradictions between a process's result and the warehouse. `excused`: other runs took the process for dead.

    `beside`: another run was at work all the time. Only then may accounts be claimed; this run has no row of them.
    """
    run = None if run_id is None else dump.runs.get(run_id)
    if run is None or result.run_id != run_id:
        yield f"a result of run {result.run_id}, which the warehouse does not know"
        return
    if not excused and (run.status, run.exit_code) != (result.status, result.exit_code):
        yield f"run {run_id} says {result.status}/{result.exit_code}, its row {run.status}/{run.exit_code}"
    for account in result.accounts:
        sync = dump.syncs.get((run_id or 0, account.account_id))
        if account.status == "claimed" and sync is None and beside:
            continue
        if sync is None or sync.status != account.status:
            found = None if sync is None else sync.status
            yield f"run {run_id} says that account {account.account_id} {account.status}, its row {found}"
