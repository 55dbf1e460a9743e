"""Accounts that a token can read: its own or, for an agent, those of all customers.

The users decide which accounts can be listed. `get.customers` gives names and states, `get.account` a time zone;
nothing depends on these. A row that cannot be used is left out, the others count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from etl.domain.text import storable
from etl.errors import (
    AccountRefused,
    MethodUnknown,
    Misconfigured,
    NotAllowed,
    SessionExpired,
    SourceUnusable,
    Unavailable,
    VnsyncError,
)
from etl.extract.answers import Result
from etl.extract.jsonrpc import DataApi

T = TypeVar("T", "_User", "_Customer")
Row = TypeVar("Row", bound=msgspec.Struct)

USERS, CUSTOMERS, ACCOUNT = "get.customer_users", "get.customers", "get.account"
PAGE = 10_000
LARGEST_OFFSET = 100_000
PASSES = 3
"""How often a list is requested that has fewer rows than it announces."""
LONGEST_REASON = 200
"""Characters kept of the reason why a row cannot be used: it is part of a key."""
Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_NOT_FOR_CUSTOMERS = frozenset({"forbidden", "method_component_disabled"})
_DETAIL_REFUSED = (AccountRefused, NotAllowed, SourceUnusable, Misconfigured, Unavailable)
"""Errors of requests for names, states and time zones, on which nothing depends."""


class Account(Struct, frozen=True, kw_only=True):
    """Account to sync. `user_ids`: under an agent, the customer's users through whom it can be listed.

    `state`: the customer's status as `get.customers` names it (active, waiting, manual_lock, ...); None: unknown.
    """

    account_id: int
    account_name: str | None = None
    timezone: str | None = None
    user_ids: tuple[int, ...] = ()
    state: str | None = None


class UnusableRow(Struct, frozen=True, kw_only=True):
    """Rows of a roster that cannot be used for one reason: the method, the place in the row, and how many."""

    method: str
    path: str
    reason: str
    rows: int


class Roster(Struct, frozen=True, kw_only=True):
    """Accounts that a token can read, ascending by id.

    `without_user`: an agent's customers none of whose users the token sees, so that they cannot be listed.
    `unusable`: rows that were left out.
    """

    role: Literal["agent", "customer"]
    accounts: tuple[Account, ...]
    without_user: tuple[Account, ...] = ()
    unusable: tuple[UnusableRow, ...] = ()

    @property
    def ids(self) -> frozenset[int]:
        """Ids of all accounts of the roster, including those that cannot be listed."""
        return frozenset(a.account_id for a in (*self.accounts, *self.without_user))

    def given(self, users: Mapping[int, int]) -> Roster:
        """The roster, in which customers without a visible user get the user that the settings name for them."""
        named = [replace(a, user_ids=(users[a.account_id],)) for a in self.without_user if a.account_id in users]
        rest = tuple(a for a in self.without_user if a.account_id not in users)
        accounts = sorted([*self.accounts, *named], key=lambda a: a.account_id)
        return replace(self, accounts=tuple(accounts), without_user=rest)


class _User(msgspec.Struct):
    id: Id
    customer_id: Id


class _Customer(msgspec.Struct):
    id: Id
    name: str | None = None
    status: str | None = None


class _OwnAccount(msgspec.Struct):
    app_id: Id
    name: str | None = None
    timezone: str | None = None


def discover(api: DataApi) -> Roster:
    """Roster of the token. `get.customer_users` answers an agent and refuses a customer.

    Under an agent the time zones are not requested here, because each customer costs a point (`describe` requests
    them). Raises `NotAllowed` for an agent's key that may not see users.
    """
    try:
        users = _list(api, USERS, _User)
    except MethodUnknown:
        return Roster(role="customer", accounts=(_own_account(api),))
    except AccountRefused as exc:
        if exc.mnemonic not in _NOT_FOR_CUSTOMERS:
            raise
        _refuse_agent(api, exc)
        return Roster(role="customer", accounts=(_own_account(api),))
    return _agents_roster(users, _customers(api))


def _refuse_agent(api: DataApi, refused: AccountRefused) -> None:
    """Raise `NotAllowed` for an agent's key without the right to see users: a customer's is refused both methods."""
    try:
        customers, _ = _decode(api.call(CUSTOMERS, {"limit": 1, "offset": 0}), CUSTOMERS, _Customer)
    except SessionExpired:
        raise
    except _DETAIL_REFUSED:
        return
    if customers:
        raise NotAllowed(f"{refused}; the key is an agent's, because {CUSTOMERS} answers", remedy=refused.remedy)


def _customers(api: DataApi) -> _Listed[_Customer]:
    """The agent's customers with their names and states; none, and a notice, if the request is refused."""
    try:
        return _list(api, CUSTOMERS, _Customer)
    except SessionExpired:
        raise
    except _DETAIL_REFUSED as exc:
        api.notice(f"names and states of the agent's customers are not known: {exc}. {exc.remedy}")
        return _Listed()


def _agents_roster(users: _Listed[_User], customers: _Listed[_Customer]) -> Roster:
    by_customer: dict[int, list[int]] = defaultdict(list)
    for user in users.rows.values():
        by_customer[user.customer_id].append(user.id)
    found = []
    for account_id in sorted(customers.rows.keys() | by_customer.keys()):
        customer = customers.rows.get(account_id, _Customer(id=account_id))
        user_ids = tuple(sorted(by_customer.get(account_id, ())))
        found.append(
            Account(account_id=account_id, account_name=customer.name, user_ids=user_ids, state=customer.status)
        )
    return Roster(
        role="agent",
        accounts=tuple(a for a in found if a.user_ids),
        without_user=tuple(a for a in found if not a.user_ids),
        unusable=(*users.unusable_rows(USERS), *customers.unusable_rows(CUSTOMERS)),
    )


class Description(Struct, frozen=True, kw_only=True):
    """Answer of `get.account` about one account. `problem`: why there is none, in one sentence."""

    name: str | None = None
    timezone: str | None = None
    problem: str | None = None


def describe(api: DataApi, account: Account, user_id: int | None) -> Description:
    """The account's name and time zone by `get.account`, requested through a user. Costs one point.

    A refusal and an answer for another account are returned as a problem. Only an error of all calls is raised.
    """
    try:
        own = _account(api, {"user_id": user_id} if user_id is not None else {})
    except SessionExpired:
        raise
    except _DETAIL_REFUSED as exc:
        return Description(problem=_problem(exc))
    if own.app_id != account.account_id:
        return Description(problem=f"{ACCOUNT} answers for account {own.app_id} when it is asked for a customer")
    return Description(name=own.name, timezone=own.timezone)


def _problem(exc: VnsyncError) -> str:
    mnemonic = getattr(exc, "mnemonic", "")
    return f"{ACCOUNT} is refused ({mnemonic})" if mnemonic else str(exc)


def _own_account(api: DataApi) -> Account:
    own = _account(api, {})
    return Account(account_id=own.app_id, account_name=own.name, timezone=own.timezone)


def _account(api: DataApi, params: dict[str, Any]) -> _OwnAccount:
    rows, unusable = _decode(api.call(ACCOUNT, params), ACCOUNT, _OwnAccount)
    if unusable:
        raise SourceUnusable(f"the answer of {ACCOUNT} cannot be used: {unusable[0][0]}: {unusable[0][1]}")
    if len(rows) != 1:
        raise SourceUnusable(f"{ACCOUNT} answered {len(rows)} accounts instead of one")
    return rows[0]


class _Listed(Struct, Generic[T]):
    """Rows of a list by id, and the count of rows that cannot be used, by place and reason."""

    rows: dict[int, T] = field(default_factory=dict)
    unusable: Counter[tuple[str, str]] = field(default_factory=Counter)

    def unusable_rows(self, method: str) -> Sequence[UnusableRow]:
        """The rows that cannot be used, one entry for each place and reason."""
        found = sorted(self.unusable.items())
        return [UnusableRow(method=method, path=path, reason=reason, rows=n) for (path, reason), n in found]


def _list(api: DataApi, method: str, kind: type[T]) -> _Listed[T]:
    """All rows of a list, by offsets, each once. A notice reports missing rows: no account counts as gone then."""
    listed: _Listed[T] = _Listed()
    for _ in range(PASSES):
        listed.unusable.clear()
        total = _pass(api, method, kind, listed)
        came = len(listed.rows) + listed.unusable.total()
        if came >= total:
            return listed
    api.notice(f"{method} announces {total} rows and sends {came}: some accounts may be left out of this run")
    return listed


def _pass(api: DataApi, method: str, kind: type[T], listed: _Listed[T]) -> int:
    """Read every page of the list once. Returns the number of rows announced, or else the number received."""
    offset, total = 0, 1
    before: list[T] = []
    while offset < total:
        if offset > LARGEST_OFFSET:
            raise SourceUnusable(f"{method} announces {total} rows, more than offsets reach")
        result = api.call(method, {"limit": PAGE, "offset": offset})
        page, unusable = _decode(result, method, kind)
        if page and page == before:
            raise SourceUnusable(f"{method} answers the same page again: the source ignores the offset")
        listed.rows.update((row.id, row) for row in page)
        listed.unusable.update(unusable)
        announced, before, came = _announced(result.metadata), page, len(page) + len(unusable)
        total = announced if announced is not None else offset + came + (came == PAGE)
        offset += PAGE
    return total


def _announced(metadata: object) -> int | None:
    total = metadata.get("total_items") if isinstance(metadata, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _decode(result: Result, method: str, kind: type[Row]) -> tuple[list[Row], list[tuple[str, str]]]:
    """The usable rows of an answer, and for each other row the place and the reason why it cannot be used."""
    data = bytes(result.data)
    try:
        data = data if result.storable else storable(data)
        return msgspec.json.decode(data, type=list[kind]), []  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _row_by_row(data, method, kind)


def _row_by_row(data: bytes, method: str, kind: type[Row]) -> tuple[list[Row], list[tuple[str, str]]]:
    rows: list[Row] = []
    unusable: list[tuple[str, str]] = []
    try:
        for raw in msgspec.json.decode(data, type=list[msgspec.Raw]):
            try:
                rows.append(msgspec.json.decode(raw, type=kind))
            except msgspec.ValidationError as exc:
                reason, _, place = str(exc).partition(" - at `")
                unusable.append((place.rstrip("`") or "$", reason[:LONGEST_REASON]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise SourceUnusable(f"the answer of {method} cannot be read: {exc}") from exc
    return rows, unusable
