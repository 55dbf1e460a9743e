"""The mass-close guard: how many numbers and links one sync may close without an operator's approval."""

from __future__ import annotations

from msgspec import Struct

NEVER_BELOW = 20
"""Count of numbers that may always be closed: in a small account the share alone would stop everyday work."""
FEWEST_EXCHANGED, MOST_EXCHANGED = 10, 0.8
"""An account with at least so many numbers is held if this share of them is replaced by other numbers at once."""


def allowed_to_close(open_before: int, share: float) -> int:
    """How many of an account's open numbers, or links of one kind, may close at once; `share`: between 0 and 1."""
    return max(NEVER_BELOW, int(open_before * share))


class Numbers(Struct, frozen=True, kw_only=True):
    """Counts of an account's numbers in one sync: open before it, listed by it, new among those, and proved gone."""

    open_before: int
    listed: int
    new: int
    gone: int


class Links(Struct, frozen=True, kw_only=True):
    """Counts of an account's links of one kind (a table) in one sync: open before it, and removed by it."""

    table: str
    open_before: int
    removed: int


class Guard(Struct, frozen=True):
    """The guard of one account sync; `share`: the part of its numbers, or links of one kind, that may close at once."""

    share: float

    def objection(self, numbers: Numbers) -> str | None:
        """Reason, in words, why the account must be held; None if it need not be."""
        gone, before = numbers.gone, numbers.open_before
        if before and not numbers.listed:
            return f"{gone or before} of {before} open numbers would be closed"
        if gone > allowed_to_close(before, self.share):
            return f"{gone} of {before} open numbers would be closed"
        if before >= FEWEST_EXCHANGED and numbers.new and gone >= before * MOST_EXCHANGED:
            return f"{gone} of {before} open numbers would be closed, and {numbers.new} others opened in their place"
        return None

    def objection_to_links(self, links: Links) -> str | None:
        """Reason, in words, why the account must be held for its links of one kind; None if it need not be."""
        if links.removed > allowed_to_close(links.open_before, self.share):
            return f"{links.removed} of {links.open_before} rows of {links.table} would be closed"
        return None
