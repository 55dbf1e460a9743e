"""Who may call what: keys, sessions, roles, blocks and rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etl.sandbox.failures import MNEMONICS
from etl.sandbox.world import CustomerPlan, World

LISTING = "get.virtual_numbers"


@pytest.mark.parametrize(
    ("key", "mnemonic"),
    [("wrong", "access_token_invalid"), (None, "required_parameter_missed"), (5, "data_type_error")],
)
def test_wrong_keys(caller: Any, key: Any, mnemonic: str) -> None:
    """A missing, wrong or mistyped key is refused, and the answer does not repeat it."""
    failure = caller.error("get.account", access_token=key)
    assert (failure["mnemonic"], failure["field"], failure["value"]) == (mnemonic, "access_token", None)


def test_blocked_key(caller: Any) -> None:
    """A blocked key answers access_token_blocked until it is unblocked."""
    caller.api.sessions.blocked = True
    assert caller.error("get.account")["mnemonic"] == "access_token_blocked"
    caller.api.sessions.blocked = False
    assert caller.result("get.account")


def test_session_key_lives_an_hour(caller: Any, clock: Any) -> None:
    """A login gives a key that works for an hour, then is expired; another login gives another key."""
    session = caller.result("login.user", login="sandbox", password="sandbox-password", access_token=None)["data"]
    key = session["access_token"]
    assert session == {"access_token": key, "expire_at": int(clock()) + 3600, "app_id": 777}
    clock.seconds += 3599
    assert caller.result("get.account", access_token=key)
    clock.seconds += 1
    assert caller.error("get.account", access_token=key)["mnemonic"] == "access_token_expired"
    again = caller.result("login.user", login="sandbox", password="sandbox-password")["data"]["access_token"]
    assert again != key
    assert caller.result("get.account", access_token=again)


def test_logout_ends_a_session(caller: Any) -> None:
    """A key is unknown after logout.user; the permanent key survives it."""
    key = caller.result("login.user", login="sandbox", password="sandbox-password")["data"]["access_token"]
    assert caller.result("logout.user", access_token=key)["data"] == {}
    assert caller.error("get.account", access_token=key)["mnemonic"] == "access_token_invalid"
    assert caller.result("logout.user")["data"] == {}
    assert caller.result("get.account")


@pytest.mark.parametrize(
    ("params", "mnemonic"),
    [
        ({"login": "sandbox", "password": "no"}, "auth_error"),
        ({"login": "sandbox"}, "required_parameter_missed"),
        ({"login": 5, "password": "x"}, "data_type_error"),
    ],
)
def test_wrong_logins(caller: Any, params: dict[str, Any], mnemonic: str) -> None:
    """A login that is wrong, incomplete or mistyped is refused."""
    assert caller.error("login.user", **params)["mnemonic"] == mnemonic


@pytest.mark.parametrize("method", ["get.customers", "get.customer_users"])
def test_agent_only_methods(call_api: Callable[..., Any], method: str) -> None:
    """A customer's own key is forbidden what only agents may call."""
    caller = call_api(World(1, role="customer"))
    assert (caller.error(method)["mnemonic"], caller.error(method)["code"]) == ("forbidden", -32003)


def test_customers_own_key(call_api: Callable[..., Any]) -> None:
    """A customer lists its own numbers without user_id, may not give one, and is its own account."""
    world = World(1, [CustomerPlan(numbers=10, name="Own", timezone="Asia/Dubai")], role="customer")
    caller, customer = call_api(world), world.customer_ids[0]
    assert caller.numbers() == world.truth(customer)
    assert caller.error(LISTING, user_id=world.user_ids(customer)[0])["mnemonic"] == "unexpected_parameters"
    expected = {"app_id": customer, "name": "Own", "timezone": "Asia/Dubai"}
    assert caller.result("get.account")["data"] == [expected]
    login = caller.result("login.user", login="sandbox", password="sandbox-password")
    assert login["data"]["app_id"] == customer
    world.remove_customer(customer)
    assert caller.error("get.account")["mnemonic"] == "account_inactive"


@pytest.mark.parametrize(
    ("user_id", "mnemonic"),
    [
        (None, "required_parameter_missed"),
        ("7", "data_type_error"),
        (True, "data_type_error"),
        (1, "invalid_parameter_value"),
    ],
)
def test_agent_names_a_user(caller: Any, user_id: Any, mnemonic: str) -> None:
    """An agent must name a user of one of its customers, by number."""
    failure = caller.error(LISTING, user_id=user_id)
    assert (failure["mnemonic"], failure["field"]) == (mnemonic, "user_id")


def test_accounts_of_an_agent(caller: Any) -> None:
    """get.account is the agent's own account, or that of the customer whose user is named."""
    customer = caller.api.world.customer(caller.api.world.customer_ids[1])
    assert caller.result("get.account")["data"] == [
        {"app_id": 777, "name": "Agency «Север»", "timezone": "Europe/Moscow"}
    ]
    assert caller.result("get.account", user_id=customer.user_ids[1])["data"] == [
        {"app_id": customer.id, "name": "Acme", "timezone": customer.timezone}
    ]


def test_customers_and_users(caller: Any) -> None:
    """An agent lists its customers and their users, with filter, sort, fields and paging as anywhere."""
    world = caller.api.world
    customers = caller.result("get.customers")
    assert [c["id"] for c in customers["data"]] == world.customer_ids
    assert {c["status"] for c in customers["data"]} == {"active"}
    assert customers["metadata"]["total_items"] == 2
    users = caller.result("get.customer_users", sort=[{"field": "id", "order": "desc"}], limit=2, offset=1)
    every = [u for c in world.customer_ids for u in world.user_ids(c)]
    assert [u["id"] for u in users["data"]] == every[::-1][1:3]
    assert users["metadata"]["total_items"] == 3
    acme = {"field": "customer_id", "operator": "=", "value": world.customer_ids[1]}
    named = caller.result("get.customer_users", filter=acme, fields=["customer_id", "id"])["data"]
    assert named == [{"id": u, "customer_id": world.customer_ids[1]} for u in world.user_ids(world.customer_ids[1])]


@pytest.mark.parametrize(
    "mnemonic",
    ["ip_not_whitelisted", "forbidden", "account_inactive", "method_component_disabled"],
)
def test_blocked_customer(caller: Any, mnemonic: str) -> None:
    """A blocked customer answers its error to everything; others are served, and it is too when unblocked."""
    world = caller.api.world
    world.block(world.customer_ids[0], mnemonic)
    for method in (LISTING, "get.account"):
        failure = caller.error(method, user_id=caller.user(0))
        assert (failure["mnemonic"], failure["code"]) == (mnemonic, MNEMONICS[mnemonic][0])
    assert ("ip" in failure["params"]) == (mnemonic == "ip_not_whitelisted")
    assert caller.result(LISTING, user_id=caller.user(1))
    status = "inactive" if mnemonic == "account_inactive" else "active"
    assert caller.result("get.customers")["data"][0]["status"] == status
    world.unblock(world.customer_ids[0])
    assert caller.result(LISTING, user_id=caller.user(0))


def test_rights_of_users(caller: Any) -> None:
    """A user may be refused, or not see some numbers, while the customer's other user sees them all."""
    world = caller.api.world
    first, second = world.user_ids(world.customer_ids[1])
    world.block_user(first)
    assert caller.error(LISTING, user_id=first)["mnemonic"] == "forbidden"
    world.unblock_user(first)
    world.hide(first, world.numbers(world.customer_ids[1])[:5])
    assert caller.result(LISTING, user_id=first)["metadata"]["total_items"] == 15
    assert caller.result(LISTING, user_id=second)["metadata"]["total_items"] == 20


def test_removed_customer(caller: Any) -> None:
    """A customer that has left is in no list, and its user is unknown."""
    user, gone = caller.user(0), caller.api.world.customer_ids[0]
    caller.api.world.remove_customer(gone)
    assert gone not in [c["id"] for c in caller.result("get.customers")["data"]]
    assert user not in [u["id"] for u in caller.result("get.customer_users")["data"]]
    assert caller.error(LISTING, user_id=user)["mnemonic"] == "invalid_parameter_value"
