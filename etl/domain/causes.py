"""Causes for which accounts were not published: one expired key is one cause, however many accounts it stops."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from etl.domain.figures import counted

NOT_TRIED = "not tried: "
"""Prefix of the error of an account that was not tried because of another account's error."""
_IDS = re.compile(r"\b(account|customer|user|number) [0-9]+\b")
"""Ids that differ between accounts although the cause is the same."""
_OPTIONS = re.compile(r"--(account|approve-close) [0-9]+\b")
"""Ids in a command of the remedy; there they become the word ID."""


class Failure(Struct, frozen=True, kw_only=True):
    """Account that was not published: its state (`failed`, `held`, ...), and the error with its remedy."""

    account_id: int
    account_name: str | None
    status: str
    error: str
    exit_code: int | None = None


class Cause(Struct, frozen=True, kw_only=True):
    """Cause, and the accounts that it stopped, in their order. If there are several, `error` names none of them."""

    status: str
    error: str
    exit_code: int | None
    failures: tuple[Failure, ...]

    @property
    def account_ids(self) -> list[int]:
        """The ids of its accounts."""
        return [failure.account_id for failure in self.failures]


def cause_of(failure: Failure) -> tuple[str, str]:
    """The status and the error without ids, which are the same for all accounts that one cause stopped."""
    return failure.status, without_ids(failure.error)


def without_ids(error: str) -> str:
    """The error without the ids that differ between the accounts that one cause stopped."""
    return _IDS.sub(r"the \1", _OPTIONS.sub(r"--\1 ID", error.removeprefix(NOT_TRIED)))


def causes(failures: Iterable[Failure]) -> list[Cause]:
    """The failures by cause, in the order in which each cause first occurred."""
    found: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        found.setdefault(cause_of(failure), []).append(failure)
    return [_cause(error, several) for (_, error), several in found.items()]


def others(stopped: Sequence[Cause]) -> str:
    """The count of causes that are not named: `; 2 other causes`, or an empty text."""
    return f"; {counted(len(stopped) - 1, 'other cause')}" if len(stopped) > 1 else ""


def _cause(shared: str, several: list[Failure]) -> Cause:
    first = several[0]
    alone = len(several) == 1
    error = first.error if alone else shared
    return Cause(status=first.status, error=error, exit_code=first.exit_code, failures=tuple(several))
