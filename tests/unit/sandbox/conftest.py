"""Fixtures of the sandbox's tests: a clock that tests advance, and a JSON-RPC caller in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from etl.sandbox.api import Api
from etl.sandbox.world import CustomerPlan, World


class Clock:
    """Seconds since the epoch, as tests set them."""

    def __init__(self) -> None:
        self.seconds = 1_767_225_600.0  # a midnight, UTC

    def __call__(self) -> float:
        """The time now."""
        return self.seconds


class Caller:
    """Calls an Api with its permanent key, unless a call names another."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The decoded reply."""
        given = {"access_token": self.api.token, **params}
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}
        return self.send(msgspec.json.encode(request))

    def send(self, body: bytes) -> dict[str, Any]:
        """The decoded reply to these bytes."""
        return msgspec.json.decode(self.api.handle(body).body, type=dict[str, Any])

    def result(self, method: str, **params: Any) -> dict[str, Any]:
        """The result, which there must be."""
        reply = self.call(method, **params)
        assert "result" in reply, reply
        result: dict[str, Any] = reply["result"]
        return result

    def error(self, method: str, **params: Any) -> dict[str, Any]:
        """The error's data, which there must be, with its code."""
        reply = self.call(method, **params)
        assert "error" in reply, reply
        data: dict[str, Any] = reply["error"]["data"]
        return data | {"code": reply["error"]["code"]}

    def user(self, index: int = 0) -> int:
        """The first user of the customer at `index`."""
        return self.api.world.user_ids(self.api.world.customer_ids[index])[0]

    def numbers(self, **params: Any) -> list[dict[str, Any]]:
        """The records of the first customer."""
        user = {"user_id": self.user()} if self.api.world.role == "agent" else {}
        result = self.result("get.virtual_numbers", **{"limit": 10_000, **user, **params})
        data: list[dict[str, Any]] = result["data"]
        return data


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until a test moves it."""
    return Clock()


@pytest.fixture
def world() -> World:
    """A small agency: sixty numbers in the first customer, twenty in the second, whose users are two."""
    return World(seed=7, customers=[CustomerPlan(numbers=60), CustomerPlan(numbers=20, name="Acme", users=2)])


@pytest.fixture
def caller(world: World, clock: Clock) -> Caller:
    """A caller of an API over the small agency, without limits."""
    return Caller(Api(world, now=clock))


@pytest.fixture
def call_api(clock: Clock) -> Callable[..., Caller]:
    """Makes a caller of an API over a given world, with the options of Api."""

    def make(world: World, **options: Any) -> Caller:
        return Caller(Api(world, now=clock, **options))

    return make
