"""World behind the API: customers whose numbers change before and after every request; changes are counted."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.customer import CATEGORIES, EXTRAS, STATUSES, TEXTS, Customer, Number
from tests.simulation.keys import SECOND, Key

ZONES = ("Europe/Moscow", "Europe/London", "UTC")
BURSTS = ("busy_day", "mass_death", "mass_birth", "emptied", "all_renamed")


@dataclass
class World:
    """All accounts of one token. `tick`: the count of changes; an answer at a tick includes all changes up to it."""

    rng: random.Random
    role: str
    edition: str = "newer"
    frozen: bool = False
    restlessness: float = 0.3
    customers: dict[int, Customer] = field(default_factory=dict)
    tick: int = 1

    @classmethod
    def draw(cls, rng: random.Random) -> World:
        """A random world: one customer with its own token, or an agent with a few customers."""
        role = rng.choice(("customer", "agent"))
        world = cls(rng, role, restlessness=rng.choice((0.0, 0.1, 0.3, 0.6)))
        for n in range(1 if role == "customer" else rng.choice((1, 1, 2, 2, 3))):
            world._found(n + 1)
        return world

    def _found(self, customer_id: int) -> None:
        rng = self.rng
        users = [customer_id * 10 + n for n in range(rng.choice((1, 2, 3)))]
        customer = Customer(customer_id, f"customer {customer_id}", rng.choice(ZONES), users, rng)
        customer.fill()
        self.customers[customer_id] = customer
        for _ in range(rng.choice((0, 1, 3, 7, 12, 20, 30, 45))):
            self.bear(customer)
        self._draw_rights(customer)

    def _draw_rights(self, customer: Customer) -> None:
        """Draw rights: the second key, and all but one of a customer's several users, may see only some numbers."""
        few: list[Key | int] = [SECOND, *self.rng.sample(customer.users, len(customer.users) - 1)]
        for viewer in few:
            if self.rng.random() < 0.8:
                customer.unseen[viewer] = set(self.rng.sample(customer.heap, (len(customer.heap) + 2) // 3))
        if len(customer.users) > 1 and self.role == "agent" and self.rng.random() < 0.15:
            customer.refused = {self.rng.choice(customer.users)}

    # -- the passing of time

    def stir(self) -> None:
        """Make random changes, or none; called before and after every request."""
        while not self.frozen and self.rng.random() < self.restlessness:
            customer = self.rng.choice(list(self.customers.values()))
            self.rng.choice(_EVENTS)(self, customer)

    def burst(self, kind: str) -> None:
        """Make the changes between two runs."""
        for customer in self.customers.values():
            if kind == "busy_day":
                for _ in range(self.rng.randrange(1, 12)):
                    self.rng.choice(_EVENTS)(self, customer)
            elif kind == "mass_death":
                self.thin(customer, self.rng.choice((0.3, 0.6, 0.9)))
            elif kind == "emptied":
                self.thin(customer, 1.0)
            elif kind == "mass_birth":
                for _ in range(self.rng.randrange(1, 25)):
                    self.bear(customer)
            else:
                for campaign in customer.campaigns:
                    self._rename(customer, customer.campaigns, campaign)

    def thin(self, customer: Customer, share: float) -> None:
        """Remove this share of a customer's numbers."""
        for number_id in self.rng.sample(customer.heap, int(len(customer.heap) * share)):
            self.change(customer)
            customer.bury(number_id, self.tick)

    def change(self, customer: Customer) -> None:
        """Make one change of this customer."""
        self.tick += 1
        customer.last_change = self.tick

    # -- events

    def bear(self, customer: Customer) -> None:
        """Add one number; a viewer who does not see all numbers may not see it either."""
        taken = customer.numbers
        if len(taken) >= 130:
            return
        number_id = self.rng.choice((self.rng.randrange(1, 200), self.rng.randrange(1, 10**6), 2**53 + len(taken)))
        if number_id not in taken:
            self.change(customer)
            customer.bear(customer.draw_number(number_id), self.tick)
            for unseen in customer.unseen.values():
                if self.rng.random() < 0.2:
                    unseen.add(number_id)

    def _death(self, customer: Customer) -> None:
        if customer.heap:
            self.change(customer)
            customer.bury(self.rng.choice(customer.heap), self.tick)

    def _return(self, customer: Customer) -> None:
        """A removed number comes back unchanged, or its id is used again for another phone."""
        graves = [g for g in customer.graves if g.id not in customer.numbers]
        if not graves:
            return
        number = self.rng.choice(graves)
        links = [c for c in number.campaigns if c in customer.campaigns]
        back = Number(number.id, number.fields, number.extra, {c: {} for c in links}, dict(number.scenarios))
        if self.rng.random() < 0.5:
            back.fields = {**back.fields, "virtual_phone_number": f"+1{self.rng.randrange(10**10)}"}
        self.change(customer)
        customer.bear(back, self.tick)

    def _edit(self, customer: Customer) -> None:
        number = self._any(customer)
        if number is None:
            return
        name = self.rng.choice(("comment", "comment", "name", "status", "category", "redirection_phone_number"))
        choices: dict[str, tuple[Any, ...]] = {"status": STATUSES, "category": CATEGORIES}
        self.change(customer)
        number.fields = {**number.fields, name: self.rng.choice(choices.get(name, (None, "flap", *TEXTS)))}
        customer.touched(number.id)

    def _unknown_field(self, customer: Customer) -> None:
        number = self._any(customer)
        if number is not None:
            self.change(customer)
            number.extra = self.rng.choice(EXTRAS)

    def _campaigns(self, customer: Customer) -> None:
        number = self._any(customer)
        if number is not None:
            self.change(customer)
            customer.join_campaign(number)
            customer.touched(number.id)

    def _scenarios(self, customer: Customer) -> None:
        number = self._any(customer)
        if number is not None:
            self.change(customer)
            customer.toggle_scenario(number)

    def _track(self, customer: Customer) -> None:
        number = self._any(customer)
        links = [] if number is None else [blocks for blocks in number.campaigns.values() if blocks]
        if links:
            self.change(customer)
            blocks = self.rng.choice(links)
            blocks[self.rng.choice(list(blocks))] = self.rng.choice((True, False, None))

    def _rename_something(self, customer: Customer) -> None:
        kind: dict[int, Any] = self.rng.choice(
            (customer.campaigns, customer.blocks, customer.sites, customer.scenarios)
        )
        if kind:
            self._rename(customer, kind, self.rng.choice(list(kind)))

    def _rename(self, customer: Customer, kind: dict[int, Any], key: int) -> None:
        self.change(customer)
        name = self.rng.choice((None, *TEXTS))
        if isinstance(kind[key], list):
            kind[key] = [name, *kind[key][1:]]
        else:
            kind[key] = name

    def _move_between_customers(self, customer: Customer) -> None:
        other = self.rng.choice(list(self.customers.values()))
        if not customer.heap or other is customer:
            return
        number_id = self.rng.choice(customer.heap)
        if number_id not in other.numbers:
            self.change(customer)
            customer.bury(number_id, self.tick)
            self.change(other)
            other.bear(other.draw_number(number_id), self.tick)

    def _any(self, customer: Customer) -> Number | None:
        return customer.numbers[self.rng.choice(customer.heap)] if customer.heap else None


_EVENTS = (
    World.bear, World.bear, World._death, World._death, World._return, World._edit, World._edit,
    World._unknown_field, World._campaigns, World._scenarios, World._track, World._rename_something,
    World._move_between_customers,
)  # fmt: skip
