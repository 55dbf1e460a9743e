"""Upheavals of the world between two runs: changes of rights, rosters and states; mass changes of links and numbers."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.customer import ACTIVE, LOCKS, Customer
from tests.simulation.keys import KEYS, Key
from tests.simulation.world import World


def _of_agents(world: World) -> list[Customer]:
    return list(world.customers.values()) if world.role == "agent" else []


def user_rights(world: World) -> None:
    """A viewer of each customer loses or regains a right: to list at all (users only), or to see some numbers.

    Or each key sees some numbers that the other key does not see.
    """
    for customer in world.customers.values():
        viewers: list[Key | int] = [*customer.users, *KEYS]
        viewer = world.rng.choice(viewers)
        kind = world.rng.choice(("refused", "fewer", "fewer", "all", "apart"))
        if kind == "apart":
            customer.unseen |= {key: set(world.rng.sample(customer.heap, len(customer.heap) // 4)) for key in KEYS}
        elif kind == "fewer":
            some = world.rng.sample(customer.heap, len(customer.heap) // 4)
            customer.unseen.setdefault(viewer, set()).update(some)
        elif kind == "all":
            customer.unseen.pop(viewer, None)
            customer.refused.clear()
        elif isinstance(viewer, int) and world.role == "agent":
            customer.refused ^= {viewer}


def userless(world: World) -> None:
    """A customer of the agent loses all its users, or regains them."""
    for customer in world.rng.sample(_of_agents(world), min(1, len(_of_agents(world)))):
        customer.userless = not customer.userless


def locked(world: World) -> None:
    """A customer of the agent is locked, changes from one lock to another, or is active again."""
    for customer in world.rng.sample(_of_agents(world), min(1, len(_of_agents(world)))):
        customer.status = world.rng.choice((*LOCKS, ACTIVE, ACTIVE))


def unlinked(world: World) -> None:
    """Every number loses its campaigns, and their blocks with them."""
    for customer in world.customers.values():
        for number in customer.numbers.values():
            world.change(customer)
            number.campaigns.clear()


def exchanged(world: World) -> None:
    """Nearly all numbers are replaced by others; most customers are so small that this is no mass close."""
    for customer in world.customers.values():
        before = len(customer.heap)
        world.thin(customer, world.rng.choice((0.85, 1.0)))
        while len(customer.heap) < before:
            world.bear(customer)


def all_rights_again(world: World) -> None:
    """Every customer is active, has its users, and no user is refused."""
    for customer in world.customers.values():
        customer.status, customer.userless = ACTIVE, False
        customer.refused.clear()


UPHEAVALS: dict[str, Callable[[World], None]] = {
    "user_rights": user_rights,
    "userless": userless,
    "locked": locked,
    "unlinked": unlinked,
    "exchanged": exchanged,
}
