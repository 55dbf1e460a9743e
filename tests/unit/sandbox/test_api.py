"""The API as a whole: every mnemonic, the record of requests, and hooks around them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etl.sandbox.api import Api
from etl.sandbox.failures import MNEMONICS
from etl.sandbox.faults import error
from etl.sandbox.world import World

LISTING = "get.virtual_numbers"


@pytest.mark.parametrize("mnemonic", [*MNEMONICS, "never_heard_of"])
def test_every_mnemonic(caller: Any, mnemonic: str) -> None:
    """Each mnemonic can be had on request, with its code, a message and all members of data."""
    caller.api.faults.add(error(mnemonic))
    failure = caller.call(LISTING, user_id=caller.user())["error"]
    assert failure["code"] == MNEMONICS.get(mnemonic, (-32000, ""))[0]
    assert failure["message"]
    assert list(failure["data"]) == ["mnemonic", "field", "value", "params", "extended_helper", "metadata"]
    assert failure["data"]["mnemonic"] == mnemonic


def test_there_are_25_mnemonics() -> None:
    """The table holds the vendor's 25 errors, each code being that of its group."""
    assert len(MNEMONICS) == 25
    assert {code for code, _ in MNEMONICS.values()} == {
        -32700, -32600, -32601, -32602, -32603, -32001, -32003, -32008, -32009, -32029, -32099,
    }  # fmt: skip


def test_requests_are_remembered_without_secrets(caller: Any) -> None:
    """Each request is on record with its parameters, refused ones too, but no key, login or password."""
    caller.numbers(limit=3)
    caller.error(LISTING, limit=4)
    caller.call("login.user", login="sandbox", password="sandbox-password")
    assert caller.api.requests == [
        (LISTING, {"limit": 3, "user_id": caller.user()}),
        (LISTING, {"limit": 4}),
        ("login.user", {}),
    ]
    assert (caller.api.count(LISTING), caller.api.count("get.account")) == (2, 0)


def test_hooks_change_the_world_around_requests(caller: Any) -> None:
    """A hook before a request changes the data that it sees; a hook after it, the data of the next one."""
    world = caller.api.world
    customer = world.customer_ids[0]
    caller.api.before_request.append(lambda request: world.add(customer, 2))
    caller.api.after_request.append(lambda request: world.add(customer, request["params"]["limit"] * 0 + 10))
    totals = [caller.result(LISTING, user_id=caller.user(), limit=1)["metadata"]["total_items"] for _ in range(3)]
    assert totals == [62, 74, 86]


def test_two_apis_share_nothing() -> None:
    """Requests, sessions and faults of one API are unknown to another over the same world."""
    world = World(1)
    first, second = Api(world), Api(world)
    request = {"jsonrpc": "2.0", "id": 1, "method": "get.account", "params": {"access_token": first.token}}
    first.handle(json.dumps(request).encode())
    assert (first.count("get.account"), second.count("get.account")) == (1, 0)
