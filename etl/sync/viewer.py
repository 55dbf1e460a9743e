"""Viewer of an account sync: the credential in use, and for an agent's customer the user who sees most numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from etl.errors import AccountRefused, Misconfigured
from etl.extract.accounts import Account
from etl.extract.jsonrpc import DataApi
from etl.extract.listing import count_numbers

MOST_USERS = 10
"""Users of one customer that are asked how many numbers they see; each answer costs a point."""
_OF_THE_USER = frozenset({"forbidden", "method_component_disabled", "parameter_component_disabled"})
"""Refusals that concern the user's rights; all others concern the customer, whichever user is taken."""


class Users(Struct):
    """The users through which a customer can be listed.

    `last`: the one of the last sync; `named`: the one that the settings name, or an archive. `compared`: whether they
    were asked how many numbers they see.
    """

    api: DataApi
    account: Account
    last: int | None = None
    named: int | None = None
    compared: bool = False

    @property
    def are_a_choice(self) -> bool:
        """Whether there are several, and none is named."""
        return self.named is None and len(self.account.user_ids) > 1

    def in_turn(self) -> Iterator[int | None]:
        """The users to list through, the next one where a user is refused; None: the token itself.

        The last sync's user comes first. Where it is unknown or gone, the one who sees most; of equals the lowest id.
        Raises `Misconfigured` when the named one is no user of the customer, and the refusal when every user is
        refused.
        """
        users = self.account.user_ids
        if not users:
            yield None
        elif self.named is not None:
            yield self._checked(self.named)
        elif self.last in users:
            yield self.last
            yield from self._by_totals([u for u in users if u != self.last])
        else:
            yield from self._by_totals(users)

    def _checked(self, named: int) -> int:
        if named not in self.account.user_ids:
            raise Misconfigured(
                f"user {named} is not a user of customer {self.account.account_id}",
                remedy="Correct [users] of vnsync.toml, or --user",
            )
        return named

    def _by_totals(self, users: Sequence[int]) -> list[int]:
        return list(users) if len(users) < 2 else self._ranked(users[:MOST_USERS])

    def _ranked(self, users: Sequence[int]) -> list[int]:
        """Users by how many numbers they see, those that are refused left out."""
        self.compared = True
        totals: dict[int, int] = {}
        refused: AccountRefused | None = None
        for user_id in users:
            try:
                totals[user_id] = count_numbers(self.api, user_id)
            except AccountRefused as exc:
                if not concerns_user(exc):
                    raise
                refused = refused or exc
        if refused and not totals:
            raise refused
        return sorted(totals, key=lambda user_id: (-totals[user_id], user_id))

    def seeing_more(self, user_id: int | None, numbers: int) -> tuple[int, int] | None:
        """Another user who sees more than the `numbers` that `user_id` sees, and how many; None: there is none."""
        others = [u for u in self.account.user_ids if u != user_id][: MOST_USERS - 1]
        seen = [(self._counted(other), other) for other in others]
        most = max(seen, default=(0, 0))
        return (most[1], most[0]) if most[0] > numbers else None

    def _counted(self, user_id: int) -> int:
        try:
            return count_numbers(self.api, user_id)
        except AccountRefused:
            return 0


def concerns_user(refused: AccountRefused) -> bool:
    """Whether another user of the same customer may be allowed to list it."""
    return refused.mnemonic in _OF_THE_USER
