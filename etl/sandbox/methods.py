"""Methods of the API: each takes a call, checks its parameters, and returns a page of records or an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from etl.sandbox import columns
from etl.sandbox.customer import Customer
from etl.sandbox.failures import Failure
from etl.sandbox.listing import PARAMETERS, Caps, Page, Query, list_numbers, list_records, parse_query, with_fields
from etl.sandbox.records import encode
from etl.sandbox.sessions import Sessions
from etl.sandbox.world import World


class Call(Struct, frozen=True):
    """Admitted request: its parameters and the data that a method needs. `bend`: applies faults to the query."""

    world: World
    sessions: Sessions
    params: dict[str, Any]
    caps: Caps
    bend: Callable[[Query], Query]

    def query(self, known: columns.Columns, caps: Caps | None = None) -> Query:
        """The paging parameters. Raises Failure."""
        return self.bend(parse_query(self.params, known, caps or Caps(self.caps.max_limit, self.caps.max_offset)))

    def about_agent(self) -> bool:
        """Whether an agent asks about itself: its call has no user_id."""
        return self.world.role == "agent" and self.params.get("user_id") is None

    def customer(self) -> Customer:
        """The customer that the call is about. Raises Failure."""
        user_id = self.params.get("user_id")
        customer = self._own(user_id) if self.world.role == "customer" else self._of_user(user_id)
        if customer.id in self.world.blocked:
            raise Failure(self.world.blocked[customer.id])
        return customer

    def _own(self, user_id: Any) -> Customer:
        if user_id is not None:
            raise Failure("unexpected_parameters", "user_id", user_id)
        if not self.world.customer_ids:
            raise Failure("account_inactive")
        return self.world.customer(self.world.customer_ids[0])

    def _of_user(self, user_id: Any) -> Customer:
        if user_id is None:
            raise Failure("required_parameter_missed", "user_id")
        if isinstance(user_id, bool) or not isinstance(user_id, int):
            raise Failure("data_type_error", "user_id", user_id)
        customer = self.world.customer_of(user_id)
        if customer is None:
            raise Failure("invalid_parameter_value", "user_id", user_id)
        if user_id in self.world.blocked_users:
            raise Failure(self.world.blocked_users[user_id])
        return customer


Result = Page | dict[str, Any]


class Method(Struct, frozen=True):
    """A method: its function, its parameters besides access_token, and its conditions for callers."""

    answer: Callable[[Call], Result]
    parameters: frozenset[str]
    agent_only: bool = False
    needs_key: bool = True


def login_user(call: Call) -> Result:
    """login.user: return a session key for a login and a password."""
    return call.sessions.login(call.params.get("login"), call.params.get("password"))


def logout_user(call: Call) -> Result:
    """logout.user: end a session key."""
    call.sessions.logout(call.params["access_token"])
    return {}


def get_account(call: Call) -> Result:
    """get.account: the caller's own account, or the account of an agent's customer by user_id."""
    world = call.world
    if call.about_agent():
        record = {"app_id": world.agent_id, "name": world.agent_name, "timezone": world.agent_timezone}
    else:
        customer = call.customer()
        record = {"app_id": customer.id, "name": customer.name, "timezone": customer.timezone}
    return list_records([record], call.query(columns.ACCOUNT))


def get_customers(call: Call) -> Result:
    """get.customers: an agent's customers, including blocked ones."""
    customers = [call.world.customer(customer_id) for customer_id in call.world.customer_ids]
    records = [{"id": c.id, "name": c.name, "status": _status(call.world, c)} for c in customers]
    return list_records(with_fields(records, columns.CUSTOMERS), call.query(columns.CUSTOMERS))


def get_customer_users(call: Call) -> Result:
    """get.customer_users: the users of an agent's customers; their ids are the `user_id` of other methods."""
    customers = [call.world.customer(customer_id) for customer_id in call.world.customer_ids]
    records = [
        {"id": u, "login": f"user{u}@example.com", "name": f"{c.name}, {n}", "description": None, "customer_id": c.id}
        for c in customers
        for n, u in enumerate(c.user_ids, 1)
    ]
    return list_records(records, call.query(columns.USERS))


def get_virtual_numbers(call: Call) -> Result:
    """get.virtual_numbers: the numbers of a customer that the user may see."""
    customer = call.customer()
    edition = call.world.edition
    query = call.query(columns.NUMBERS[edition], call.caps)
    page = list_numbers(customer, query, edition, customer.hidden.get(call.params.get("user_id", 0), frozenset()))
    return Page(page.rows, page.total, lambda: foreign_record(call.world, customer))


def foreign_record(world: World, customer: Customer) -> bytes:
    """A record that does not belong to `customer`: another customer's first one, or an invented one."""
    for customer_id in world.customer_ids:
        other = world.customer(customer_id)
        if other is not customer and len(other):
            return other.encode(other.rows()[:1], world.edition)[0]
    stranger = {
        "id": 999_999_999, "child_customer_id": customer.id + 1, "virtual_phone_number": "70000000000",
        "status": "active", "category": "usual", "type": "va",
    }  # fmt: skip
    known = columns.NUMBERS[world.edition]
    return encode({name: value for name, value in with_fields([stranger], known)[0].items() if name in known})


def _status(world: World, customer: Customer) -> str:
    return "inactive" if world.blocked.get(customer.id) == "account_inactive" else "active"


METHODS: dict[str, Method] = {
    "login.user": Method(login_user, frozenset({"login", "password"}), needs_key=False),
    "logout.user": Method(logout_user, frozenset()),
    "get.account": Method(get_account, PARAMETERS | {"user_id"}),
    "get.customers": Method(get_customers, PARAMETERS, agent_only=True),
    "get.customer_users": Method(get_customer_users, PARAMETERS, agent_only=True),
    "get.virtual_numbers": Method(get_virtual_numbers, PARAMETERS | {"user_id"}),
}
