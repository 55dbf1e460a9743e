"""Causes in words: one line for all accounts that one cause stopped, with the remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from etl.domain.causes import Cause, Failure
from etl.report.wording import counted, named, printable, sentence, thousands

if TYPE_CHECKING:
    from etl.read.status import AccountState

NAMED = 5
"""Accounts listed by id; of the others only the count is shown."""


def standing(accounts: Iterable[AccountState]) -> list[Failure]:
    """Failures that still stand: those of the accounts whose last sync was not published."""
    from etl.read.status import UNPUBLISHED  # imported here: log lines need no database

    return [
        Failure(
            account_id=account.account_id,
            account_name=account.account_name,
            status=account.status,
            error=account.error or "no reason was recorded",
        )
        for account in accounts
        if account.status in UNPUBLISHED
    ]


def who(cause: Cause) -> str:
    """The accounts of a cause as the subject of a sentence: `account 101 "Acme"`, or `172 accounts`."""
    first = cause.failures[0]
    if len(cause.failures) == 1:
        return named(first.account_id, first.account_name)
    return counted(len(cause.failures), "account")


def line(cause: Cause) -> str:
    """The cause in one line: `172 accounts failed: the API key has expired. <remedy> Accounts: 51, 52, ...`."""
    text = f"{who(cause)} {cause.status}: {sentence(printable(cause.error, 600))}"
    if len(cause.failures) == 1:
        return text
    return f"{text} Accounts: {listed(cause.account_ids)}."


def listed(account_ids: Sequence[int]) -> str:
    """The first ids, and the count of the others: `51, 52, 53, 54, 55 and 167 more`."""
    first = ", ".join(map(str, account_ids[:NAMED]))
    more = len(account_ids) - NAMED
    return f"{first} and {thousands(more)} more" if more > 0 else first


def facts(causes: Collection[Cause]) -> list[dict[str, Any]]:
    """The causes as plain values for JSON, each with its accounts."""
    return [{"status": c.status, "error": c.error, "exit_code": c.exit_code, "accounts": c.account_ids} for c in causes]
