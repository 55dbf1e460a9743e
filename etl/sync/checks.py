"""Checks of what came, before anything is published: strangers, mass quarantine, and the error of a held account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any

from etl.errors import Held, IntegrityBroken, SourceUnusable
from etl.transform.decode import Rejected

MOST_QUARANTINED = 0.5
"""Share of an account's records that may be unusable; beyond it the account fails, for then the source has changed."""


def refuse_strangers(account_id: int, roster: Set[int], numbers: Iterable[tuple[int, Any]]) -> None:
    """Refuse numbers of another customer of the roster. `numbers`: by id, each with the customer its record names.

    A record may name any other customer, for only the roster says which accounts there are.
    """
    others = roster - {account_id}
    for number_id, customer in numbers:
        if customer in others:
            raise IntegrityBroken(
                f"number {number_id} of customer {customer} came in this account's listing",
                remedy="Nothing was published for the account; report this to the vendor",
            )


def refuse_mass_quarantine(rejected: Sequence[Rejected], listed: int) -> None:
    """Refuse a listing of which most records cannot be used; one without some element can."""
    whole = [r for r in rejected if r.whole]
    if len(whole) > max(1, listed * MOST_QUARANTINED):
        example = whole[0]
        raise SourceUnusable(
            f"{len(whole)} of {listed} records cannot be used, the first: {example.path}: {example.reason}"
        )


def held(account_id: int, objection: str) -> Held:
    """The error for an account that the guard holds."""
    command = f"vnsync sync --account {account_id} --approve-close {account_id}"
    return Held(objection, remedy=f"If that is right, run `{command}`")
