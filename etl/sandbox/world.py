"""Simulated world: customers of a telephony platform, their users and numbers, changed by tests or by days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from msgspec import Struct

from etl.sandbox import names
from etl.sandbox.catalog import Sizes
from etl.sandbox.customer import Customer
from etl.sandbox.days import DayChanges, pass_day
from etl.sandbox.records import Edition

Role = Literal["agent", "customer"]

FIRST_IDS = {
    "customer": 12_000, "user": 510_000, "number": 100_000, "site": 20_000, "block": 300_000, "campaign": 60_000,
    "scenario": 80_000, "rule": 700_000,
}  # fmt: skip
START = datetime.fromisoformat("2026-01-01 09:00:00")  # local time, like all times of the API
AGENT_ID, AGENT_NAME, AGENT_TIMEZONE = 777, "Agency «Север»", "Europe/Moscow"


class CustomerPlan(Struct, frozen=True, kw_only=True):
    """Plan of a customer with `numbers` numbers; fields that are None are drawn from the seed."""

    numbers: int = 40
    name: str | None = None
    timezone: str | None = None  # IANA
    users: int = 1
    campaigns: int | None = None  # None: about numbers / 25


class World:
    """The data of the vendor, the same for the same seed and the same calls.

    `id_step` is the mean gap between number ids: 1 gives consecutive ones, more gives random gaps. `edition` may be
    switched at any moment. Methods that take a customer or a number raise KeyError when it does not exist.
    """

    def __init__(
        self,
        seed: int = 0,
        customers: Sequence[CustomerPlan] = (CustomerPlan(),),
        *,
        role: Role = "agent",
        edition: Edition = "newer",
        id_step: int = 1,
    ) -> None:
        if role == "customer" and len(customers) != 1:
            raise ValueError("a world with the role 'customer' has exactly one customer")
        self.seed, self.role, self.edition, self.id_step = seed, role, edition, id_step
        self.agent_id, self.agent_name, self.agent_timezone = AGENT_ID, AGENT_NAME, AGENT_TIMEZONE
        self.today = START
        self.blocked: dict[int, str] = {}  # customer id -> mnemonic of the error that its requests get
        self.blocked_users: dict[int, str] = {}
        self._rng = Random(f"{seed}:ids")
        self._last_ids = dict(FIRST_IDS)
        self._phones = self._rng.randrange(10_000_000)
        self._customers: dict[int, Customer] = {}
        for plan in customers:
            self.add_customer(plan)

    # --- customers and users

    @property
    def customer_ids(self) -> list[int]:
        """The ids of the customers, oldest first."""
        return list(self._customers)

    def customer(self, customer_id: int) -> Customer:
        """The customer with this id."""
        return self._customers[customer_id]

    def user_ids(self, customer_id: int) -> list[int]:
        """The ids of a customer's users."""
        return list(self._customers[customer_id].user_ids)

    def customer_of(self, user_id: int) -> Customer | None:
        """The customer that a user belongs to; None when there is no such user."""
        return next((c for c in self._customers.values() if user_id in c.user_ids), None)

    def add_customer(self, plan: CustomerPlan) -> int:
        """Add a customer. Returns its id."""
        rng = Random(f"{self.seed}:customer:{len(self._customers)}:{self._last_ids['customer']}")
        sizes = Sizes.of(plan.numbers if plan.campaigns is None else plan.campaigns * 25)
        customer = Customer(rng, sizes, self._next_id, self._next_phone, self.today)
        customer.name = plan.name if plan.name is not None else names.company(rng)
        customer.timezone = plan.timezone if plan.timezone is not None else rng.choice(names.TIMEZONES)
        customer.user_ids = [self._next_id("user") for _ in range(plan.users)]
        if self.role == "customer":
            customer.child_customer_id = None
        customer.fill(plan.numbers)
        self._customers[customer.id] = customer
        return customer.id

    def remove_customer(self, customer_id: int) -> None:
        """Remove a customer with its users and numbers."""
        del self._customers[customer_id]

    def block(self, customer_id: int, mnemonic: str = "ip_not_whitelisted") -> None:
        """Refuse all requests for a customer with this error."""
        self.blocked[self._customers[customer_id].id] = mnemonic

    def unblock(self, customer_id: int) -> None:
        """Answer requests for a customer again."""
        self.blocked.pop(customer_id, None)

    def block_user(self, user_id: int, mnemonic: str = "forbidden") -> None:
        """Refuse all requests in the name of one user with this error."""
        self.blocked_users[user_id] = mnemonic

    def unblock_user(self, user_id: int) -> None:
        """Answer requests in the name of a user again."""
        self.blocked_users.pop(user_id, None)

    def hide(self, user_id: int, number_ids: Iterable[int]) -> None:
        """Hide these numbers, and only these, from a user."""
        customer = self.customer_of(user_id)
        if customer is None:
            raise KeyError(user_id)
        customer.hidden[user_id] = frozenset(number_ids)

    # --- numbers

    def numbers(self, customer_id: int) -> list[int]:
        """The ids of a customer's numbers, in heap order."""
        return self._customers[customer_id].ids()

    def truth(self, customer_id: int) -> list[dict[str, Any]]:
        """The records that the API would send now in the world's edition, decoded, in heap order."""
        return self._customers[customer_id].truth(self.edition)

    def add(self, customer_id: int, n: int = 1) -> list[int]:
        """Add numbers at the end of the heap. Returns their ids, which are larger than all earlier ones."""
        return self._customers[customer_id].add(n)

    def remove(self, customer_id: int, number_id: int) -> None:
        """Remove a number: the customer has given it back."""
        self._customers[customer_id].remove(number_id)

    def edit(self, customer_id: int, number_id: int, **fields: Any) -> None:
        """Set fields of a number, of any name and JSON type; its row moves to the end of the heap."""
        self._customers[customer_id].edit(number_id, fields)

    def move(self, customer_id: int, number_id: int, campaign_id: int | None) -> None:
        """Put a number into one campaign, or into none; its row moves to the end of the heap."""
        self._customers[customer_id].move(number_id, campaign_id)

    def switch_rule(self, customer_id: int, number_id: int, is_active: bool) -> None:
        """Turn the rule of a number's first scenario on or off; its row stays in place."""
        self._customers[customer_id].switch_rule(number_id, is_active)

    def put_raw(self, customer_id: int, number_id: int, raw_json: bytes) -> None:
        """Serve these bytes as the number's record, whichever fields are requested."""
        self._customers[customer_id].put_raw(number_id, raw_json)

    def clear_raw(self, customer_id: int, number_id: int | None = None) -> None:
        """Serve the true record of one number, or of all numbers, again."""
        self._customers[customer_id].clear_raw(number_id)

    # --- objects that numbers refer to

    def campaign_ids(self, customer_id: int) -> list[int]:
        """The ids of a customer's campaigns."""
        return list(self._customers[customer_id].catalog.campaigns)

    def site_ids(self, customer_id: int) -> list[int]:
        """The ids of a customer's sites."""
        return list(self._customers[customer_id].catalog.sites)

    def block_ids(self, customer_id: int) -> list[int]:
        """The ids of a customer's site blocks."""
        return list(self._customers[customer_id].catalog.blocks)

    def scenario_ids(self, customer_id: int) -> list[int]:
        """The ids of a customer's scenarios."""
        return list(self._customers[customer_id].catalog.scenarios)

    def rename_campaign(self, customer_id: int, campaign_id: int, name: str) -> None:
        """Rename a campaign in all of its numbers' records; no row moves."""
        self._customers[customer_id].catalog.rename_campaign(campaign_id, name)

    def rename_block(self, customer_id: int, block_id: int, name: str) -> None:
        """Rename a site block in all records; no row moves."""
        self._customers[customer_id].catalog.rename_block(block_id, name)

    def rename_site(self, customer_id: int, site_id: int, domain: str) -> None:
        """Change a site's address in all records; no row moves."""
        self._customers[customer_id].catalog.rename_site(site_id, domain)

    def rename_scenario(self, customer_id: int, scenario_id: int, name: str) -> None:
        """Rename a scenario in all records; no row moves."""
        self._customers[customer_id].catalog.rename_scenario(scenario_id, name)

    # --- time

    def pass_day(self, share: float = 0.01) -> DayChanges:
        """Let a day pass: about `share` of all numbers change, and some names. Returns the counts."""
        self.today += timedelta(days=1)
        return sum((pass_day(customer, share) for customer in self._customers.values()), DayChanges())

    def _next_id(self, kind: str) -> int:
        gap = self._rng.randint(1, 2 * self.id_step - 1) if kind == "number" and self.id_step > 1 else 1
        self._last_ids[kind] += gap
        return self._last_ids[kind]

    def _next_phone(self, area: str) -> str:
        self._phones = (self._phones + 7_919_003) % 10_000_000
        return f"{area}{self._phones:07d}"
