"""Which accounts a token reaches: its own, or, for an agent, every customer's."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from etl.domain.text import storable
from etl.errors import AccountRefused, MethodUnknown, SourceUnusable
from etl.extract.answers import Result
from etl.extract.jsonrpc import DataApi

T = TypeVar("T", "_User", "_Customer")
Row = TypeVar("Row", bound=msgspec.Struct)

PAGE = 10_000
LARGEST_OFFSET = 100_000
PASSES = 3
"""How often a list that comes shorter than it says of itself is asked for."""
Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_NOT_FOR_CUSTOMERS = frozenset({"forbidden", "method_component_disabled"})


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account to sync. `user_ids`: under an agent, the customer's users through whose eyes it can be listed."""

    account_id: int
    account_name: str | None = None
    timezone: str | None = None
    user_ids: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Roster:
    """What a token reaches."""

    role: Literal["agent", "customer"]
    accounts: tuple[Account, ...]


class _User(msgspec.Struct):
    id: Id
    customer_id: Id


class _Customer(msgspec.Struct):
    id: Id
    name: str | None = None


class _OwnAccount(msgspec.Struct):
    app_id: Id
    name: str | None = None
    timezone: str | None = None


def discover(api: DataApi) -> Roster:
    """The accounts of the token, ascending by id: `get.customer_users` answers an agent and refuses a customer.

    Under an agent the time zones are not asked here, for they cost a point for each customer (`describe` asks).
    """
    try:
        users = _list(api, "get.customer_users", _User)
    except MethodUnknown:
        return Roster(role="customer", accounts=(_own_account(api),))
    except AccountRefused as exc:
        if exc.mnemonic not in _NOT_FOR_CUSTOMERS:
            raise
        return Roster(role="customer", accounts=(_own_account(api),))
    names = {c.id: c.name for c in _list(api, "get.customers", _Customer)}
    by_customer: dict[int, list[int]] = defaultdict(list)
    for user in users:
        by_customer[user.customer_id].append(user.id)
    return Roster(
        role="agent",
        accounts=tuple(
            Account(account_id=c, account_name=names.get(c), user_ids=tuple(sorted(by_customer.get(c, ()))))
            for c in sorted(names.keys() | by_customer.keys())
        ),
    )


def describe(api: DataApi, account: Account) -> Account:
    """The account with its name and time zone as `get.account` tells them. Costs one point."""
    user = account.user_ids[0] if account.user_ids else None
    own = _account(api, {"user_id": user} if user is not None else {})
    return replace(account, account_name=own.name or account.account_name, timezone=own.timezone)


def _own_account(api: DataApi) -> Account:
    own = _account(api, {})
    return Account(account_id=own.app_id, account_name=own.name, timezone=own.timezone)


def _account(api: DataApi, params: dict[str, Any]) -> _OwnAccount:
    rows = _decode(api.call("get.account", params), "get.account", _OwnAccount)
    if len(rows) != 1:
        raise SourceUnusable(f"get.account answered {len(rows)} accounts instead of one")
    return rows[0]


def _list(api: DataApi, method: str, kind: type[T]) -> list[T]:
    """All rows of a list, by offsets, each once. What stays missing is told: no account is gone for it."""
    rows: dict[int, T] = {}
    for _ in range(PASSES):
        total = _pass(api, method, kind, rows)
        if len(rows) >= total:
            break
    else:
        api.notice(f"{method} announces {total} rows and sends {len(rows)}: some accounts may be left out of this run")
    return list(rows.values())


def _pass(api: DataApi, method: str, kind: type[T], rows: dict[int, T]) -> int:
    """Every page of the list once, into `rows`; how many the source announces (what came, where it does not say)."""
    offset, total = 0, 1
    before: list[T] = []
    while offset < total:
        if offset > LARGEST_OFFSET:
            raise SourceUnusable(f"{method} announces {total} rows, more than offsets reach")
        result = api.call(method, {"limit": PAGE, "offset": offset})
        page = _decode(result, method, kind)
        if page and page == before:
            raise SourceUnusable(f"{method} answers the same page again: the source ignores the offset")
        rows.update((row.id, row) for row in page)
        announced, before = _announced(result.metadata), page
        total = announced if announced is not None else offset + len(page) + (len(page) == PAGE)
        offset += PAGE
    return total


def _announced(metadata: object) -> int | None:
    total = metadata.get("total_items") if isinstance(metadata, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _decode(result: Result, method: str, kind: type[Row]) -> list[Row]:
    try:
        data = bytes(result.data)
        return msgspec.json.decode(data if result.storable else storable(data), type=list[kind])  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise SourceUnusable(f"{method} answered what cannot be read: {exc}") from exc
