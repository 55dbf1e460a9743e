"""Directory of the made-up API: the accounts that a key reaches, their users, names and states."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.customer import ACTIVE, Customer
from tests.simulation.refusal import INACTIVE, NO_SUCH_CALL, Refusal
from tests.simulation.swarm import Swarm
from tests.simulation.world import World

AGENT = 999
"""The agent's own account."""
ODD_USER = {"id": 5, "login": "of no customer", "customer_id": None}

Rows = list[dict[str, Any]]


@dataclass
class Directory:
    """Users, customers and accounts. `user_gone`: the user who sees most is missing where a customer has several."""

    world: World
    swarm: Swarm
    rng: random.Random
    user_gone: bool = False
    _shrunk: dict[str, set[int]] = field(default_factory=dict)

    def new_run(self) -> None:
        """Draw the customers and users that are hidden during a run."""
        self._shrunk = {"customers": set(), "users": set()}
        for what, ids in (("customers", list(self.world.customers)), ("users", self._user_ids())):
            if ids and self.swarm.strikes(f"{what}_shrunk"):
                self._shrunk[what] = set(self.rng.sample(ids, self.rng.randrange(1, len(ids) + 1)))

    def _user_ids(self) -> list[int]:
        return [u for c in self.world.customers.values() for u in c.users]

    @property
    def _agents(self) -> bool:
        return self.world.role == "agent"

    # -- the three methods

    def users(self) -> Rows:
        """Rows of `get.customer_users`."""
        if not self._agents:
            raise Refusal(-32003, "method_component_disabled")
        rows: Rows = [
            {"id": user, "login": f"u{user}", "customer_id": customer.id}
            for customer in self.world.customers.values()
            for user in self.users_of(customer)
        ]
        if self.swarm.strikes("odd_user"):
            rows.insert(self.rng.randrange(len(rows) + 1), ODD_USER)
        return self._listed(rows)

    def users_of(self, customer: Customer) -> list[int]:
        """The visible users of a customer."""
        if customer.userless:
            return []
        users = customer.users
        if self.user_gone and len(users) > 1:
            most = min(users, key=lambda user: (len(customer.unseen.get(user, ())), user))
            users = [user for user in users if user != most]
        return [user for user in users if user not in self._shrunk["users"]]

    def customers(self) -> Rows:
        """Rows of `get.customers`."""
        if not self._agents:
            raise Refusal(-32003, "method_component_disabled")
        if self.swarm.strikes("customers_refused"):
            raise Refusal(*self.rng.choice(NO_SUCH_CALL))
        return self._listed(
            [
                {"id": c.id, "name": c.name, "status": c.status}
                for c in self.world.customers.values()
                if c.id not in self._shrunk["customers"]
            ]
        )

    def _listed(self, rows: Rows) -> Rows:
        return [] if self.swarm.strikes("roster_empty") else rows

    def account(self, user_id: int | None) -> dict[str, Any]:
        """The row of `get.account`."""
        agents_own = {"app_id": AGENT, "name": "the agent", "timezone": "UTC"}
        if self._agents and user_id is None:
            return agents_own
        customer = self.customer(user_id)
        if self._agents and self.swarm.strikes("decoration_refused"):
            if self.rng.random() < 0.5:
                return agents_own
            raise Refusal(*self.rng.choice(NO_SUCH_CALL))
        refuse_locked(customer)
        return {"app_id": customer.id, "name": customer.name, "timezone": customer.timezone}

    def customer(self, user_id: int | None) -> Customer:
        """The customer of this user; None: the only one, whose own key it is."""
        customers = list(self.world.customers.values())
        if user_id is None:
            return customers[0]
        return next(c for c in customers if user_id in c.users)


def refuse_locked(customer: Customer) -> None:
    """Refuse every method for a locked customer."""
    if customer.status != ACTIVE:
        raise Refusal(*INACTIVE)
