"""A client that was written for the real API by others lists what the sandbox holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from comagic import Comagic
from comagic.errors import ComagicException

from etl.sandbox.api import Api
from etl.sandbox.server import Server, serve
from etl.sandbox.world import CustomerPlan, World

CANARY = "canary-key-93b1"


@pytest.fixture
def world() -> World:
    """An agency of two customers."""
    return World(seed=5, customers=[CustomerPlan(numbers=30), CustomerPlan(numbers=12, name="Acme", users=2)])


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    """The agency's API on a loopback port."""
    api = Api(world, token=CANARY, login="agent", password="canary-password")
    with serve(api) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Comagic]:
    """The public client with the permanent key."""
    made = Comagic(token=CANARY)
    made.API_URL = server.url
    yield made
    made._session.close()


def as_records(models: Any) -> list[dict[str, Any]]:
    """The attributes of the client's models, nulls included."""
    return [dict(model) for model in models]


@pytest.mark.parametrize("edition", ["newer", "older"])
def test_numbers(client: Comagic, world: World, edition: Any) -> None:
    """The client's numbers are the sandbox's, in both editions, with the blocks that it asks for in one list."""
    world.edition = edition
    customer = world.customer_ids[0]
    listed = as_records(client.get_virtual_numbers(user_id=world.user_ids(customer)[0]))
    truth = world.truth(customer)
    for record in truth:
        record["site_blocks"] = [block for campaign in record["campaigns"] for block in campaign["site_blocks"]]
    assert listed == [{name: record[name] for name in listed[0]} for record in truth]


def test_paging_filter_and_sort(client: Comagic, world: World) -> None:
    """The client's own paging, filter and sort parameters are understood."""
    customer = world.customer_ids[0]
    listed = client.get_virtual_numbers(
        user_id=world.user_ids(customer)[0],
        limit=5,
        offset=2,
        filter={"field": "status", "operator": "=", "value": "active"},
        sort=[{"field": "category", "order": "asc"}],
        fields=["id", "category"],
    )
    active = [record for record in world.truth(customer) if record["status"] == "active"]
    expected = sorted(active, key=lambda record: record["category"])[2:7]
    assert [(n["id"], n["category"]) for n in listed] == [(r["id"], r["category"]) for r in expected]


def test_customers_and_users(client: Comagic, world: World) -> None:
    """The client lists the agent's customers and their users."""
    assert [c["id"] for c in client.get_customers()] == world.customer_ids
    users = as_records(client.get_customer_users())
    assert [(u["id"], u["customer_id"]) for u in users] == [
        (u, c) for c in world.customer_ids for u in world.user_ids(c)
    ]


def test_accounts(client: Comagic, world: World) -> None:
    """The client reads the agent's account, and a customer's by one of its users."""
    acme = world.customer_ids[1]
    assert client.get_account()["app_id"] == world.agent_id
    assert client.get_account(user_id=world.user_ids(acme)[1])["name"] == "Acme"


def test_login_and_password(server: Server, world: World) -> None:
    """A client that logs in with login and password works with the session key that it gets."""
    client = Comagic(token="none yet")
    client.API_URL, client.login, client.password = server.url, "agent", "canary-password"
    client.access_token = client._create_access_token()
    assert client.access_token not in ("none yet", CANARY)
    numbers = list(client.get_virtual_numbers(user_id=world.user_ids(world.customer_ids[1])[0]))
    assert len(numbers) == 12
    client._session.close()


def test_errors_reach_the_client(client: Comagic) -> None:
    """The client reads code, message and data of an error."""
    with pytest.raises(ComagicException) as caught:
        client.get_virtual_numbers()
    assert caught.value.error_data["code"] == -32602
    assert caught.value.error_data["data"]["mnemonic"] == "required_parameter_missed"
