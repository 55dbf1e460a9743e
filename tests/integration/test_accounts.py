"""Accounts: the role of a token, the accounts that it reaches, and the session of a login, against the sandbox."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from etl.domain.events import Event, Notice
from etl.errors import NotAllowed, SourceUnusable, TryLater, VnsyncError
from etl.extract.accounts import Account, Roster, describe, discover
from etl.extract.credentials import Credentials, Login, PermanentKey
from etl.extract.jsonrpc import DataApi, open_api
from etl.sandbox import faults
from etl.sandbox.api import Api
from etl.sandbox.transport import SandboxTransport
from etl.sandbox.world import CustomerPlan, World
from tests.support.rig import TOKEN, URL, FakeClock, Rig

LOGIN = Login("sandbox", "sandbox-password")


class Bench:
    """A sandbox, and the events that its client reports."""

    def __init__(self, world: World) -> None:
        self.world, self.clock = world, FakeClock()
        self.api = Api(world, token=TOKEN, now=lambda: self.clock.time.timestamp())
        self.events: list[Event] = []

    @contextmanager
    def client(self, credentials: Credentials | None = None) -> Iterator[DataApi]:
        with open_api(
            URL,
            credentials or PermanentKey(TOKEN),
            clock=self.clock,
            random=random.Random(1),
            report=self.events.append,
            transport=SandboxTransport(self.api),
        ) as client:
            yield client

    def roster(self, credentials: Credentials | None = None) -> Roster:
        with self.client(credentials) as client:
            return discover(client)


def _agency() -> Bench:
    plans = [
        CustomerPlan(numbers=1, name="Первый", timezone="Europe/Moscow"),
        CustomerPlan(numbers=1, name="Second", timezone="Asia/Almaty", users=3),
    ]
    return Bench(World(seed=1, customers=plans))


def _customer() -> Bench:
    plan = CustomerPlan(numbers=1, name="Own", timezone="Europe/London")
    return Bench(World(seed=1, customers=[plan], role="customer"))


def test_a_customers_token_reaches_its_own_account() -> None:
    """Its id, name and zone are those of get.account, and it is listed without a user."""
    bench = _customer()
    (own,) = bench.world.customer_ids
    assert bench.roster() == Roster(
        role="customer", accounts=(Account(account_id=own, account_name="Own", timezone="Europe/London"),)
    )


def test_an_agents_token_reaches_every_customer_with_all_its_users() -> None:
    """Names come from the list of customers, in two requests; zones are not requested, as each costs a point."""
    bench = _agency()
    first, second = bench.world.customer_ids
    assert bench.roster() == Roster(
        role="agent",
        accounts=(
            _active(bench, first, "Первый"),
            _active(bench, second, "Second"),
        ),
    )
    assert [method for method, _ in bench.api.requests] == ["get.customer_users", "get.customers"]


def _active(bench: Bench, account_id: int, name: str) -> Account:
    user_ids = tuple(bench.world.user_ids(account_id))
    return Account(account_id=account_id, account_name=name, user_ids=user_ids, state="active")


def test_a_customers_zone_is_asked_through_its_user() -> None:
    """The time zone comes from get.account with the customer's user, for one point."""
    bench = _agency()
    account = bench.roster().accounts[1]
    with bench.client() as client:
        assert describe(client, account, account.user_ids[0]).timezone == "Asia/Almaty"
    assert bench.api.requests[-1] == ("get.account", {"user_id": account.user_ids[0]})


@pytest.mark.parametrize("mnemonic", ["method_not_found", "forbidden", "method_component_disabled"])
def test_ways_to_say_that_a_token_is_no_agents(mnemonic: str) -> None:
    """Editions differ in how they refuse get.customer_users to a customer."""
    bench = _customer()
    bench.api.faults.add(faults.error(mnemonic), method="get.customer_users")
    assert bench.roster().role == "customer"


@pytest.mark.parametrize("mnemonic", ["ip_not_whitelisted", "account_inactive"])
def test_a_refusal_is_not_taken_for_a_role(mnemonic: str) -> None:
    """An agent whose address is not whitelisted is refused, and not synced as if it were a customer."""
    bench = _agency()
    bench.api.faults.add(faults.error(mnemonic), method="get.customer_users", times=None)
    with pytest.raises(NotAllowed, match=mnemonic):
        bench.roster()
    assert bench.api.count("get.account") == 0


@pytest.mark.fault("P06")
def test_the_whitelist_names_the_address() -> None:
    """P06: the error names the address to add, and the remedy names the whitelist."""
    bench = _customer()
    bench.api.faults.add(faults.error("ip_not_whitelisted"), method=None, times=None)
    with pytest.raises(NotAllowed, match=r"203\.0\.113\.7") as caught:
        bench.roster()
    assert "whitelist" in caught.value.remedy


@pytest.mark.parametrize("mnemonic", ["access_token_invalid", "access_token_expired", "access_token_blocked"])
@pytest.mark.fault("P05")
def test_a_permanent_key_that_is_refused_is_not_tried_again(mnemonic: str) -> None:
    """P05: exit 77 after one request, with a remedy, and without the key in the message."""
    bench = _customer()
    bench.api.faults.add(faults.error(mnemonic), method=None, times=None)
    with pytest.raises(NotAllowed, match=mnemonic) as caught:
        bench.roster()
    assert caught.value.exit_code == 77
    assert TOKEN not in f"{caught.value} {caught.value.remedy}"
    assert len(bench.api.requests) == 1


def test_a_wrong_key_is_refused() -> None:
    """The sandbox's own check of the key refuses it, without a planned fault."""
    with pytest.raises(NotAllowed, match="access_token_invalid"):
        _customer().roster(PermanentKey("another-key"))


def test_a_login_is_exchanged_for_a_session_once() -> None:
    """The first request logs in, the following ones use the same session."""
    bench = _agency()
    assert bench.roster(LOGIN).role == "agent"
    assert [m for m, _ in bench.api.requests] == ["login.user", "get.customer_users", "get.customers"]


@pytest.mark.fault("P05")
def test_an_expired_session_is_renewed() -> None:
    """P05: after an hour the key is no longer valid: one new login, and the request is repeated."""
    bench = _customer()
    with bench.client(LOGIN) as client:
        discover(client)
        bench.clock.pass_time(3601)
        client.call("get.account")
        assert client.requests == len(bench.api.requests)
    assert [m for m, _ in bench.api.requests][-3:] == ["get.account", "login.user", "get.account"]
    assert bench.api.count("login.user") == 2


@pytest.mark.fault("P05")
def test_a_session_that_is_never_accepted_ends() -> None:
    """P05: if the renewed session is refused, too, there is no third login: exit 77."""
    bench = _customer()
    bench.api.faults.add(faults.error("access_token_expired"), method="get.customer_users", times=None)
    with pytest.raises(NotAllowed):
        bench.roster(LOGIN)
    assert bench.api.count("login.user") <= 2


def test_a_wrong_password_ends() -> None:
    """A refused login is exit 77, without minutes of retries, and without the password in the message."""
    bench = _customer()
    with pytest.raises(NotAllowed, match="auth_error") as caught:
        bench.roster(Login("sandbox", "wr0ng-secret"))
    assert "wr0ng-secret" not in f"{caught.value} {caught.value.remedy}"
    assert bench.api.count("login.user") <= 2
    assert bench.clock.slept == []


@pytest.mark.fault("P20")
def test_an_agent_without_customers_has_no_accounts() -> None:
    """P20: an empty list is reported, and not taken for a customer's own account."""
    bench = Bench(World(seed=1, customers=[]))
    assert bench.roster() == Roster(role="agent", accounts=())


@pytest.mark.parametrize("method", ["get.customer_users", "get.customers"])
@pytest.mark.fault("P12")
def test_a_customer_list_that_announces_more_than_it_sends_ends(method: str) -> None:
    """P12, P20: after a few repetitions the received rows are used, with a notice, or the list is refused."""
    bench = _agency()
    bench.api.faults.add(faults.TotalItems(1000), method=method, times=None)
    try:
        assert len(bench.roster().accounts) == 2
        assert any(isinstance(event, Notice) and method in event.message for event in bench.events)
    except SourceUnusable:
        pass
    assert len(bench.api.requests) < 20


@pytest.mark.fault("P08")
def test_a_minute_limit_is_waited_out_on_the_clock() -> None:
    """P08: limit_exceeded of the minute: wait until the reset and one second more, then repeat the request."""
    bench = _customer()
    details = {"limit_type": "minute"}
    bench.api.faults.add(faults.error("limit_exceeded", params=details), method="get.account")
    assert bench.roster().role == "customer"
    assert bench.clock.slept == [61.0]


@pytest.mark.fault("P08")
def test_a_minute_limit_that_stays_ends() -> None:
    """P08: after a bounded number of waits the run gives up: exit 75."""
    bench = _customer()
    bench.api.faults.add(faults.error("limit_exceeded", params={"limit_type": "minute"}), method=None, times=None)
    with pytest.raises(TryLater):
        bench.roster()
    assert len(bench.api.requests) <= 20


@pytest.mark.parametrize("answer", [[], [{"app_id": 1}, {"app_id": 2}], [{"app_id": "1"}], [{}], {"app_id": 1}])
def test_an_account_that_is_not_one_is_refused(answer: object) -> None:
    """get.account answers one account with a whole number as its id, or nothing is synced."""
    bench = _customer()
    bench.api.faults.add(faults.reshape(result={"data": answer}), method="get.account", times=None)
    with pytest.raises(VnsyncError) as caught:
        bench.roster()
    assert caught.value.exit_code == 65


@pytest.mark.fault("P21")
def test_a_deprecated_version_is_told_once() -> None:
    """P21: a notice names the latest version, and the run continues."""
    bench = _agency()
    bench.api.faults.add(faults.Deprecated(), method=None, times=None)
    assert len(bench.roster().accounts) == 2
    told = [event.message for event in bench.events if isinstance(event, Notice)]
    assert len(told) == 1
    assert "v4.0" in told[0]


def test_names_and_zones_are_in_the_warehouse(warehouse: Engine) -> None:
    """An agency's sync stores each customer's name and zone and follows a new name.

    On the next day it asks for one zone only: the one that was asked for longest ago.
    """
    bench = _agency()
    rig = Rig(bench.world, warehouse)
    rig.sync()
    stored = "select account_name, timezone from accounts order by account_id"
    assert rig.rows(stored) == [("Первый", "Europe/Moscow"), ("Second", "Asia/Almaty")]
    bench.world.customer(bench.world.customer_ids[1]).name = "Renamed"
    rig.sync()
    assert rig.rows(stored) == [("Первый", "Europe/Moscow"), ("Renamed", "Asia/Almaty")]
    assert rig.api.count("get.account") == 3


def test_a_session_login_syncs_a_whole_account(warehouse: Engine) -> None:
    """A login syncs an account like a key does."""
    rig = Rig(_customer().world, warehouse)
    assert rig.sync(credentials=LOGIN).exit_code == 0
    assert rig.rows("select count(*) from virtual_numbers") == [(1,)]
