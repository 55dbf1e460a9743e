"""Numbered causes: each is told in one sentence of the page, and every other place refers to it by its number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from etl.domain.causes import Cause, causes, without_ids
from etl.domain.runs import AccountStatus
from etl.read.status import AccountState
from etl.report.causes import standing
from etl.report.html.markup import Element, Node, element
from etl.report.html.parts import prose, unbroken

SHOWN = 8
"""Upper limit of the causes that are told for failed accounts, and of those for held ones."""


class NumberedCauses(Struct, frozen=True):
    """The causes that are told, in the order of their numbers, which begin at 1; `untold`: how many are not, by status.

    For 3 000 accounts with one cause there is one sentence; for 3 000 causes the page stays small.
    """

    told: tuple[Cause, ...]
    untold: dict[str, int]

    @classmethod
    def of(cls, accounts: Iterable[AccountState]) -> NumberedCauses:
        """The causes of the accounts whose last sync was not published: of failed ones first, then of held ones."""
        found = causes(standing(accounts))
        told: list[Cause] = []
        untold = {}
        for status in (AccountStatus.FAILED.value, AccountStatus.HELD.value):
            several = [cause for cause in found if cause.status == status]
            told += several[:SHOWN]
            untold[status] = max(0, len(several) - SHOWN)
        return cls(tuple(told), untold)

    def of_status(self, status: str) -> Iterator[tuple[int, Cause]]:
        """The causes of one status with their numbers."""
        return ((number, cause) for number, cause in enumerate(self.told, 1) if cause.status == status)

    def by_account(self) -> dict[int, int]:
        """The number of the cause of each account that has one."""
        return {account: number for number, cause in enumerate(self.told, 1) for account in cause.account_ids}

    def within(self, error: str) -> tuple[int, str] | None:
        """(number of the cause that a run's error tells, the words after it); None if it tells another one."""
        whole = without_ids(error)
        for number, cause in enumerate(self.told, 1):
            same = without_ids(cause.error).rstrip(".")
            if same and same in whole:
                return number, whole.partition(same)[2].lstrip(".")
        return None


def anchor(number: int) -> str:
    """Id of the sentence that tells a cause."""
    return f"cause-{number}"


def reference(number: int, *more: Node) -> Element:
    """A link to the cause, and text after it, as the second line of a cell."""
    return element("small", element("a", f"cause {number}", href=f"#{anchor(number)}"), *more)


def notes(errors: Sequence[tuple[int, str | None]], stopped: NumberedCauses) -> list[Element | None]:
    """For each run id and its error: a reference to the cause, or to the first run with that error, or its words."""
    first: dict[str, int] = {}
    for run_id, error in errors:
        first.setdefault(error or "", run_id)
    return [_note(run_id, error, first[error], stopped) if error else None for run_id, error in errors]


def _note(run_id: int, error: str, first: int, stopped: NumberedCauses) -> Element:
    if (found := stopped.within(error)) is not None:
        number, rest = found
        return reference(number, rest)
    if first != run_id:
        return element("small", "as run ", unbroken(str(first)))
    return element("small", prose(error))
