"""Brief JSON of `sync` and `status`: sums, and only the accounts that need attention, so that a fleet fits a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from etl.domain.causes import Cause, causes
from etl.domain.runs import AccountResult, AccountStatus, RunResult, TableChange, failures
from etl.read.status import AccountState, Status
from etl.report import causes as words
from etl.report.values import plain_but

MOST = 20
"""Most accounts, causes, and ids of a cause that are listed; the counts beside them are whole."""
LONGEST = 200
"""Characters of an error that are kept."""
_OF_RESULT = ("account_id", "account_name", "status", "observed_at", "quarantined", "suspects", "unaccounted", "error")
_OF_STATE = (*_OF_RESULT, "age_seconds", "unreachable_since", "last_run_id")


def of_run(result: RunResult) -> dict[str, Any]:
    """The run for JSON, with sums over its accounts in place of the accounts."""
    accounts = result.accounts
    rows = sum((a.rows for a in accounts), TableChange())
    run = plain_but(result, "accounts", "stopped_by")
    sums = {
        "accounts": _by_status(accounts),
        "rows": {"added": rows.added, "changed": rows.changed, "removed": rows.removed},
        **_added_up(accounts, ("requests", "retries", "listed_numbers", "quarantined", "suspects", "unaccounted")),
    }
    return {**run, "published": result.published, "sums": sums} | _attention(
        causes(failures(accounts)), [a for a in accounts if needs_attention(a)], _OF_RESULT
    )


def of_status(found: Status, late: Collection[int]) -> dict[str, Any]:
    """The status for JSON, with sums over the accounts; `late`: ids of those that are older than asked for."""
    accounts, ages = found.accounts, [a.age_seconds for a in found.accounts if a.age_seconds is not None]
    sums = {
        "accounts": _by_status(accounts),
        "oldest_age_seconds": max(ages, default=None),
        "late": len(late),
        **_added_up(accounts, ("listed_numbers", "quarantined", "suspects", "unaccounted")),
    }
    needing = [a for a in accounts if needs_attention(a) or a.account_id in late]
    stopped = causes(words.standing(accounts))
    return {**plain_but(found, "accounts"), "sums": sums} | _attention(stopped, needing, _OF_STATE)


def needs_attention(account: AccountResult | AccountState) -> bool:
    """Whether the account was not published, or only in part; a state that is known and reported does not count."""
    known = account.is_already_reported if isinstance(account, AccountResult) else account.is_unreachable
    doubtful = account.quarantined or account.suspects or account.unaccounted
    return bool(doubtful) or (account.status != AccountStatus.SUCCEEDED and not known)


def _by_status(accounts: Iterable[AccountResult | AccountState]) -> dict[str, int]:
    counts = Counter(str(a.status) for a in accounts)
    return {"total": counts.total(), **dict(sorted(counts.items()))}


def _added_up(accounts: Sequence[AccountResult | AccountState], names: Iterable[str]) -> dict[str, int]:
    return {name: sum(getattr(a, name) or 0 for a in accounts) for name in names}


def _attention(
    stopped: Sequence[Cause], needing: Sequence[AccountResult | AccountState], names: Collection[str]
) -> dict[str, Any]:
    """The causes and the accounts that need attention, the first of each; `left_out` counts the others."""
    first = sorted(stopped, key=lambda cause: -len(cause.failures))[:MOST]
    told = [
        _shortened(fact) | {"accounts": cause.account_ids[:MOST], "count": len(cause.failures)}
        for cause, fact in zip(first, words.facts(first), strict=True)
    ]
    shown = [_shortened({k: v for k, v in plain_but(a).items() if k in names}) for a in needing[:MOST]]
    left_out = {"failures": len(stopped) - len(first), "accounts": len(needing) - len(shown)}
    return {"failures": told, "accounts": shown, "left_out": left_out}


def _shortened(fact: dict[str, Any]) -> dict[str, Any]:
    error = fact["error"]
    return fact if error is None or len(error) <= LONGEST else fact | {"error": f"{error[: LONGEST - 3]}..."}
