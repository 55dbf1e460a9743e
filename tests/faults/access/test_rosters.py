"""A04-A07, A10: unusual rosters: customers without users, refused names and zones, odd rows, locked customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from etl.domain.runs import AccountStatus, RunStatus, Unreachable
from etl.errors import NotAllowed
from etl.read.status import read_status, stale
from etl.report.outcomes import accounts_table
from tests.support.vendor import (
    FORBIDDEN,
    INACTIVE,
    Method,
    Record,
    Refused,
    Vendor,
    Warehouse,
    account,
    agency,
    customer,
    number,
    refusing,
    user,
)

MISSED = Refused(-32602, "required_parameter_missed", "user_id")
NAMES = "select account_name, timezone from accounts order by account_id"


def _by_user(params: Record) -> list[Record]:
    """Every customer has one number, whose id is that of its user."""
    if "user_id" not in params:
        raise MISSED
    return [number(params["user_id"], child_customer_id=params["user_id"] // 10)]


def _two(
    customers: Sequence[Record], users: Sequence[Record] = (), listing: Method = _by_user, **more: Method
) -> Vendor:
    return agency(list(users) or [user(511, 51), user(521, 52)], list(customers), listing, **more)


ALPHA, BETA = customer(51, "Alpha"), customer(52, "Beta")


# -- A04: customers without a user, strangers


@pytest.mark.fault("A04")
def test_a_customer_without_a_user_is_never_asked_for(warehouse: Engine) -> None:
    """Reported once with exit 3, then by a notice; the others are published, and no row has its account id."""
    vendor, mine = _two([ALPHA, customer(53, "Gamma")], [user(511, 51)]), Warehouse(warehouse)
    result = mine.sync(vendor)
    assert (result.status, result.exit_code) == (RunStatus.PARTIAL, 3)
    assert [(a.account_id, a.status, a.unreachable) for a in result.accounts] == [
        (51, AccountStatus.SUCCEEDED, None),
        (53, AccountStatus.UNREACHABLE, Unreachable.NO_USER),
    ]
    assert all("user_id" in params for params in vendor.asked("get.virtual_numbers"))
    for _ in range(2):
        result = mine.sync(vendor)
        assert (result.exit_code, len(result.accounts)) == (0, 1)
        assert any("sees no user of this customer" in n for n in mine.notices)
    assert mine.rows("select distinct account_id from virtual_numbers") == [(51,)]


@pytest.mark.fault("A04")
def test_a_customer_that_loses_its_user_keeps_its_rows(warehouse: Engine) -> None:
    """Published yesterday, without a user today: exit 3 once, no row closed; with a user again it is synced."""
    users = [user(511, 51), user(521, 52)]
    vendor, mine = _two([ALPHA, BETA], users), Warehouse(warehouse)
    vendor.methods["get.customer_users"] = lambda _: users
    assert mine.sync(vendor).exit_code == 0
    del users[1]
    assert [mine.sync(vendor).exit_code for _ in range(3)] == [3, 0, 0]
    assert mine.open_ids == [511, 521]
    users.append(user(521, 52))
    assert mine.sync(vendor).exit_code == 0
    users.pop()
    assert mine.sync(vendor).exit_code == 3


@pytest.mark.fault("A04")
def test_a_user_of_the_settings_makes_it_reachable(warehouse: Engine) -> None:
    """The list of users has none of it, but the settings name one: the customer is listed through this user."""
    vendor, mine = _two([ALPHA, BETA], [user(511, 51)]), Warehouse(warehouse)
    assert mine.sync(vendor, users={52: 521}).exit_code == 0
    assert mine.open_ids == [511, 521]


@pytest.mark.fault("A04")
def test_only_another_customer_of_the_roster_is_a_stranger(warehouse: Engine) -> None:
    """A `child_customer_id` unknown to the roster is stored; one of another known customer is refused."""
    child = 99

    def listing(params: Record) -> list[Record]:
        return [number(params["user_id"], child_customer_id=child if params["user_id"] == 511 else 52)]

    vendor, mine = _two([ALPHA, BETA], listing=listing), Warehouse(warehouse)
    assert mine.sync(vendor).exit_code == 0
    assert mine.rows("select child_customer_id from virtual_numbers where account_id = 51") == [(99,)]
    child = 52
    result = mine.sync(vendor)
    assert [a.exit_code for a in result.accounts] == [70, 0]


# -- A05: names and time zones

IGNORED: Method = lambda _: [account(1, "The Agency", "Europe/Moscow")]  # noqa: E731 - one of several answers


@pytest.mark.parametrize(
    "answer",
    [
        refusing(FORBIDDEN),
        refusing(Refused(-32602, "unexpected_parameters", "user_id")),
        refusing(Refused(-32601, "method_not_found")),
        refusing(Refused(-32050, "brand_new")),
        IGNORED,
        lambda _: [],
        lambda _: [{"app_id": "51"}],
    ],
    ids=["forbidden", "unexpected", "unknown", "new", "of the agent", "none", "odd"],
)
@pytest.mark.fault("A05")
def test_names_and_zones_decide_nothing(warehouse: Engine, answer: Method) -> None:
    """`get.account` refused, or about another account: published, names from get.customers, time zone null."""
    vendor, mine = _two([ALPHA, BETA], get_account=answer), Warehouse(warehouse)
    assert mine.sync(vendor).exit_code == 0
    assert mine.rows(NAMES) == [("Alpha", None), ("Beta", None)]
    (notice,) = [n for n in mine.notices if "2 customers" in n]
    assert "get.account" in notice


@pytest.mark.fault("A05")
def test_a_known_zone_stays_when_it_is_refused(warehouse: Engine) -> None:
    """A time zone known yesterday and refused today does not change."""
    vendor, mine = _two([ALPHA, BETA]), Warehouse(warehouse)
    mine.sync(vendor)
    vendor.methods["get.account"] = refusing(FORBIDDEN)
    assert [mine.sync(vendor).exit_code for _ in range(8)] == [0] * 8
    assert mine.rows(NAMES) == [("Alpha", "Asia/Dubai"), ("Beta", "Asia/Dubai")]


@pytest.mark.parametrize("mnemonic", ["forbidden", "method_component_disabled"])
@pytest.mark.fault("A05")
def test_names_of_customers_are_not_needed(warehouse: Engine, mnemonic: str) -> None:
    """`get.customers` is refused: a notice; the accounts are those of the users, named by get.account."""
    refused = refusing(Refused(-32003, mnemonic))
    vendor, mine = _two([], get_customers=refused), Warehouse(warehouse)
    assert mine.sync(vendor).exit_code == 0
    assert mine.rows(NAMES) == [("Alpha", "Asia/Dubai"), ("Alpha", "Asia/Dubai")]
    assert any(
        "names and states of the agent's customers are not known: get.customers is refused" in n for n in mine.notices
    )
    assert mnemonic != "forbidden" or any('"at least one selected client"' in n for n in mine.notices)


@pytest.mark.fault("A05")
def test_a_new_zone_is_followed_within_a_week(warehouse: Engine) -> None:
    """Each of thirty customers is requested again within seven days: at least one a day, never all on one day."""
    ids = range(101, 131)
    zone = "Asia/Dubai"
    vendor = agency(
        [user(i * 10 + 1, i) for i in ids],
        [customer(i, f"c{i}") for i in ids],
        _by_user,
        get_account=lambda p: [account(p["user_id"] // 10, timezone=zone)],
    )
    mine = Warehouse(warehouse)
    mine.sync(vendor)
    zone = "Europe/Moscow"
    asked = []
    for _ in range(7):
        mine.sync(vendor)
        asked.append(len(vendor.asked("get.account")))
    assert mine.rows("select distinct timezone from accounts") == [("Europe/Moscow",)]
    assert max(asked) < len(ids) / 2
    assert min(asked) >= 1


@pytest.mark.soak
@pytest.mark.fault("A05")
def test_two_hundred_quiet_customers_cost_little(sqlite_warehouse: Engine) -> None:
    """A month of an agency of 200 quiet customers takes at most 1.2 requests per customer and day."""
    ids = range(101, 301)
    users = [user(i * 10 + n, i) for i in ids for n in range(2 if i % 10 == 0 else 1)]
    vendor = agency(users, [customer(i, f"c{i}") for i in ids], lambda p: [number(p["user_id"] // 10)])
    mine, requests = Warehouse(sqlite_warehouse), 0
    for _ in range(30):
        mine.sync(vendor)
        requests += len(vendor.calls)
    assert requests <= 1.2 * 200 * 30


# -- A06: rights


@pytest.mark.fault("A06")
def test_an_agents_key_without_the_right_to_users_is_no_customers(warehouse: Engine) -> None:
    """Users refused and customers answered: exit 77 names the method and the right; no listing is requested."""
    vendor, mine = _two([ALPHA, BETA], get_customer_users=refusing(FORBIDDEN)), Warehouse(warehouse)
    with pytest.raises(NotAllowed) as caught:
        mine.sync(vendor)
    assert "get.customer_users is refused for the key: forbidden" in str(caught.value)
    assert '"user: view"' in caught.value.remedy
    assert not vendor.asked("get.virtual_numbers")


@pytest.mark.fault("A06")
def test_an_agent_without_either_right_is_found_by_its_listing(warehouse: Engine) -> None:
    """Both lists are refused: only the listing shows that a user is missing; the remedy names the right to users."""
    refused = refusing(FORBIDDEN)
    vendor = _two([ALPHA], get_customer_users=refused, get_customers=refused, get_account=lambda _: [account(1)])
    result = Warehouse(warehouse).sync(vendor)
    assert result.exit_code == 77
    assert '"user: view"' in str(result.error)


# -- A07: rows of the roster


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([{"id": 9, "customer_id": None}], "get.customer_users[].customer_id"),
        ([{"id": "x", "customer_id": 52}], "get.customer_users[].id"),
        ([{"customer_id": 52}, 5], "get.customer_users[]"),
    ],
)
@pytest.mark.fault("A07")
def test_an_odd_row_of_the_users_is_told_and_left_out(warehouse: Engine, rows: list[Record], place: str) -> None:
    """The others are synced, exit 0; the row is in source_drift, and reported when it is new there."""
    vendor, mine = _two([ALPHA, BETA]), Warehouse(warehouse)
    vendor.methods["get.customer_users"] = lambda _: [user(511, 51), *rows, user(521, 52)]
    assert mine.sync(vendor).exit_code == 0
    assert [n for n in mine.notices if place in n]
    assert mine.sync(vendor).exit_code == 0
    assert mine.notices == []
    assert (0, place) in mine.rows("select account_id, path from source_drift")
    assert mine.open_ids == [511, 521]


@pytest.mark.fault("A07")
def test_an_odd_row_of_the_customers_is_left_out(warehouse: Engine) -> None:
    """A customer without a usable id is not an account; the others have their names."""
    vendor, mine = _two([ALPHA, {"id": None, "name": "?"}, BETA]), Warehouse(warehouse)
    assert mine.sync(vendor).exit_code == 0
    assert [name for name, _ in mine.rows(NAMES)] == ["Alpha", "Beta"]


# -- A10: known states


@pytest.mark.parametrize("state", ["debt_lock", "manual_lock", "limit_lock", "waiting", "active"])
@pytest.mark.parametrize("refusal", [INACTIVE, FORBIDDEN], ids=["inactive", "forbidden"])
@pytest.mark.fault("A10")
def test_a_locked_customer_is_told_once(warehouse: Engine, state: str, refusal: Refused) -> None:
    """Exit 3 when the lock begins, then exit 0; `status` names the state, and `--max-age` does not count it.

    An active customer that is forbidden has no known state: it fails every day.
    """
    locked: list[Record] = []

    def listing(params: Record) -> list[Record]:
        if locked and params["user_id"] == 521:
            raise refusal
        return _by_user(params)

    vendor, mine = _two([ALPHA, BETA], listing=listing), Warehouse(warehouse)
    assert mine.sync(vendor).exit_code == 0
    locked.append(customer(52, "Beta", state))
    vendor.methods["get.customers"] = lambda _: [ALPHA, *locked]
    known = state != "active" or refusal is INACTIVE
    assert [mine.sync(vendor).exit_code for _ in range(3)] == ([3, 0, 0] if known else [3, 3, 3])
    now = mine.clock.now()
    _, beta = read_status(warehouse, now).accounts
    named = state if state != "active" else "account_inactive"
    assert beta.status == (named if known else "failed")
    assert [a.account_id for a in stale([beta], timedelta(hours=1))] == ([] if known else [52])
    assert mine.open_ids == [511, 521]
    locked.clear()
    vendor.methods["get.customers"] = lambda _: [ALPHA, BETA]
    assert mine.sync(vendor).exit_code == 0
    assert read_status(warehouse, mine.clock.now()).accounts[1].status == "succeeded"


@pytest.mark.fault("A10")
def test_another_state_is_told_anew(warehouse: Engine) -> None:
    """A change from debt to a manual lock is reported once; later the run's table has it in a few words."""
    state = "debt_lock"

    def listing(params: Record) -> list[Record]:
        if params["user_id"] == 521:
            raise INACTIVE
        return _by_user(params)

    vendor, mine = _two([], listing=listing), Warehouse(warehouse)
    vendor.methods["get.customers"] = lambda _: [ALPHA, customer(52, "Beta", state)]
    assert [mine.sync(vendor).exit_code for _ in range(2)] == [3, 0]
    state = "manual_lock"
    results = [mine.sync(vendor) for _ in range(2)]
    assert [result.exit_code for result in results] == [3, 0]
    assert [accounts_table(result).rows[1][-1] for result in results] == ["see below", "locked by the vendor"]


@pytest.mark.fault("A10")
def test_a_locked_customer_that_answers_is_published(warehouse: Engine) -> None:
    """The lock is reported by get.customers, but the listing is answered, so nothing is missing."""
    vendor, mine = _two([ALPHA, customer(52, "Beta", "limit_lock")]), Warehouse(warehouse)
    assert mine.sync(vendor).exit_code == 0
    assert mine.open_ids == [511, 521]


@pytest.mark.fault("A10")
def test_all_customers_locked_is_no_failure_once_it_was_told(warehouse: Engine) -> None:
    """Two inactive customers give exit 3 first, then 0."""
    vendor, mine = _two([ALPHA, BETA], listing=refusing(INACTIVE)), Warehouse(warehouse)
    first, second = mine.sync(vendor), mine.sync(vendor)
    assert (first.status, first.exit_code) == (RunStatus.PARTIAL, 3)
    assert (second.status, second.exit_code) == (RunStatus.SUCCEEDED, 0)
    assert mine.open_ids == []
