"""Changes of one day to a customer's numbers."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import fields

from etl.sandbox import names
from etl.sandbox.customer import Customer
from etl.sandbox.records import ScenarioLink

LOCKS = ("manual_lock", "limit_lock")


class DayChanges(Struct, frozen=True, kw_only=True):
    """Counts of a day's changes, in numbers or shared objects; days and customers are added with `+`."""

    added: int = 0
    edited: int = 0  # a status, a comment or a name
    locked: int = 0
    moved: int = 0  # from one campaign to another, or out of all
    rules_switched: int = 0
    removed: int = 0
    renamed_campaigns: int = 0
    renamed_blocks: int = 0
    renamed_scenarios: int = 0

    def __add__(self, other: DayChanges) -> DayChanges:
        return DayChanges(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    @property
    def total(self) -> int:
        """The sum of all counts."""
        return sum(getattr(self, f.name) for f in fields(self))


def pass_day(customer: Customer, share: float) -> DayChanges:
    """Let a day pass at one customer; about `share` of its numbers change, drawn from the customer's own generator."""
    day = _Day(customer, share)
    return DayChanges(
        edited=day.edit(),
        locked=day.lock(),
        moved=day.move(),
        rules_switched=day.switch_rules(),
        renamed_campaigns=day.rename_campaigns(),
        renamed_blocks=day.rename_blocks(),
        renamed_scenarios=day.rename_scenarios(),
        removed=day.remove(),
        added=day.add(),
    )


class _Day:
    """Draws the numbers that change, each at most once a day, and changes them."""

    def __init__(self, customer: Customer, share: float) -> None:
        self.customer, self.share, self.rng = customer, share, customer.rng
        self.numbers = len(customer)
        self.left = customer.ids()
        self.rng.shuffle(self.left)

    def edit(self) -> int:
        chosen = self._numbers(0.40)
        for number_id in chosen:
            field, words = self.rng.choice(_EDITS)
            old = getattr(self.customer.row(number_id).head, field)
            self.customer.edit(number_id, {field: names.other(self.rng, old, words)})
        return len(chosen)

    def lock(self) -> int:
        chosen = self._numbers(0.05)
        for number_id in chosen:
            old = self.customer.row(number_id).head.status
            self.customer.edit(number_id, {"status": names.other(self.rng, old, LOCKS)})
        return len(chosen)

    def move(self) -> int:
        chosen = self._numbers(0.25)
        campaigns = list(self.customer.catalog.campaigns)
        for number_id in chosen:
            links = self.customer.row(number_id).campaigns.links
            now = {link.campaign.id for link in links if not isinstance(link, ScenarioLink)}
            others = [c for c in self.rng.sample(campaigns, min(5, len(campaigns))) if c not in now]
            leaves = not others or (now and self.rng.random() < 0.1)
            self.customer.move(number_id, None if leaves else others[0])
        return len(chosen)

    def switch_rules(self) -> int:
        switched = 0
        for number_id in self._numbers(0.06):
            links = self.customer.row(number_id).scenarios.links
            if links and isinstance(links[0], ScenarioLink):
                self.customer.switch_rule(number_id, not links[0].is_active)
                switched += 1
        return switched

    def remove(self) -> int:
        chosen = self._numbers(0.10)
        for number_id in chosen:
            self.customer.remove(number_id)
        return len(chosen)

    def add(self) -> int:
        return len(self.customer.add(self._count(self.numbers * 0.14)))

    def rename_campaigns(self) -> int:
        catalog = self.customer.catalog
        chosen = self._sample(catalog.campaigns)
        for campaign_id in chosen:
            catalog.rename_campaign(campaign_id, self._renamed(catalog.campaigns[campaign_id].name))
        return len(chosen)

    def rename_blocks(self) -> int:
        catalog = self.customer.catalog
        chosen = self._sample(catalog.blocks)
        for block_id in chosen:
            catalog.rename_block(block_id, self._renamed(catalog.blocks[block_id].name))
        return len(chosen)

    def rename_scenarios(self) -> int:
        catalog = self.customer.catalog
        chosen = self._sample(catalog.scenarios)
        for scenario_id in chosen:
            catalog.rename_scenario(scenario_id, self._renamed(catalog.scenarios[scenario_id].name))
        return len(chosen)

    def _renamed(self, old: str) -> str:
        """Another name for the same object: the part before the version mark stays."""
        return f"{old.split(' · ')[0]} · v{self.rng.randrange(1_000_000)}"

    def _count(self, weight: float) -> int:
        """`weight` x share, rounded at random, so that small customers change sometimes, too."""
        return int(weight * self.share + self.rng.random())

    def _numbers(self, weight: float) -> list[int]:
        count = min(self._count(self.numbers * weight), len(self.left))
        chosen, self.left = self.left[:count], self.left[count:]
        return chosen

    def _sample(self, ids: Iterable[int]) -> list[int]:
        drawn = list(ids)
        return self.rng.sample(drawn, min(len(drawn), self._count(len(drawn) * 0.5)))


_EDITS = (
    ("status", ("active", "waiting", "cleaning", "reserved")),
    ("comment", names.COMMENTS),
    ("name", names.LABELS),
)
