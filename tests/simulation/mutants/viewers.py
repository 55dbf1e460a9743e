"""Bugs with rights: viewers, users, rosters and states."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from sqlalchemy import delete

from etl.domain.runs import AccountStatus, Unreachable
from etl.domain.tables import TABLES
from etl.errors import IntegrityBroken, SourceUnusable
from etl.extract import accounts
from etl.store import schema
from etl.sync import identity, page_processor, run, unreachable
from etl.sync import viewer as users
from tests.simulation.mutants.planting import mutant


@mutant(identity.Identity, "cannot_tell", "what another key cannot see is closed", under=("other_key",))
def keys_are_alike(right: Any) -> Any:
    def cannot_tell(self: Any, load: Any, gone: Any) -> set[int]:
        return set() if self.viewer.user_id == self._known.viewer.user_id else right(self, load, gone)

    return cannot_tell


@mutant(identity.Identity, "cannot_tell", "what another user cannot see is closed", under=("other_user",))
def viewers_are_alike(right: Any) -> Any:
    return lambda self, load, gone: set()


@mutant(
    identity.Identity,
    "viewer_changed",
    "another viewer is adopted although it does not see all numbers",
    test="tests/faults/access/test_viewers.py::test_what_another_key_does_not_see_stays_open",
)
def viewer_is_adopted_at_once(right: Any) -> Any:
    return lambda self, suspects: False


@mutant(
    identity.Identity,
    "cannot_tell",
    "what appeared through another key is closed when the first is back",
    test="tests/faults/access/test_viewers.py::test_numbers_of_other_eyes_stay_open_when_the_old_key_is_back",
)
def what_is_open_was_shown(right: Any) -> Any:
    return lambda self, load, gone: set(gone) if self.viewer_differs else set()


@mutant(users, "concerns_user", "a user who is refused takes the whole customer along", under=("user_rights",))
def one_user_speaks_for_all(right: Any) -> Any:
    return lambda refused: False


@mutant(accounts, "_agents_roster", "a customer without a user is listed without user_id", under=("userless",))
def listed_without_user(right: Any) -> Any:
    def roster(*lists: Any) -> Any:
        made = right(*lists)
        everyone = sorted((*made.accounts, *made.without_user), key=lambda account: account.account_id)
        return replace(made, accounts=tuple(everyone), without_user=())

    return roster


@mutant(accounts, "_customers", "a list of customers that is refused stops the run", under=("customers_refused",))
def names_are_needed(right: Any) -> Any:
    return lambda api: accounts._list(api, accounts.CUSTOMERS, accounts._Customer)


@mutant(
    identity, "describe", "a customer without an answer of get.account is not synced", under=("decoration_refused",)
)
def zones_are_needed(right: Any) -> Any:
    def describe(*arguments: Any) -> Any:
        described = right(*arguments)
        if described.problem:
            raise SourceUnusable(described.problem)
        return described

    return describe


@mutant(accounts, "_row_by_row", "one unusable row of a roster makes all useless", under=("odd_user",))
def one_row_spoils_the_roster(right: Any) -> Any:
    def rows(data: bytes, method: str, kind: Any) -> Any:
        raise SourceUnusable(f"{method} has an unusable row")

    return rows


@mutant(run._Run, "_record", "a locked customer loses its numbers", under=("locked",))
def the_locked_are_deleted(right: Any) -> Any:
    def record(self: Any, result: Any) -> None:
        right(self, result)
        if result.status is AccountStatus.UNREACHABLE and result.unreachable is not Unreachable.LEFT:
            with self._engine.begin() as connection:
                for table in (*TABLES[5:], *TABLES[:1]):
                    current = schema.current[table.name]
                    connection.execute(delete(current).where(current.c.account_id == result.account_id))

    return record


@mutant(unreachable, "is_reported", "a locked customer is reported by every run", under=("locked",))
def states_are_told_for_ever(right: Any) -> Any:
    return lambda reason, known: False


@mutant(unreachable, "is_reported", "a locked customer is never reported", under=("locked",))
def states_are_never_told(right: Any) -> Any:
    return lambda reason, known: True


@mutant(page_processor, "refuse_strangers", "a number that names a customer outside the roster is refused")
def every_other_customer_is_a_stranger(right: Any) -> Any:
    def refuse(account_id: int, roster: Any, numbers: Any) -> None:
        if any(customer not in (None, account_id) for _, customer in numbers):
            raise IntegrityBroken("another customer's number")

    return refuse
