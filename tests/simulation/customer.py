"""Customer of the made-up world: numbers, campaigns, sites, blocks, scenarios, and the periods of each number."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.keys import Key, Viewer

TEXTS = (
    "", "Main line", "Ads / spring", "naïve ☎", "нужный номер", "0", "null", "a\u0000b", "lone \ud800 half", "␀ mark",
    "'; drop table x; --", "line\nbreak", "=1+1", "e\u0301", "\u00e9", " padded ", "\U0001f4de",
)  # fmt: skip
ACTIVE = "active"
LOCKS = ("debt_lock", "limit_lock", "manual_lock", "waiting")
"""States of `get.customers` in which a customer cannot be listed."""
OUTSIDER = 777
"""A customer that is in no roster; records may name it."""
STATUSES = ("active", "waiting", "cleaning", "reserved", "manual_lock", "brand_new_status")
CATEGORIES = ("usual", "bronze", "gold", "unheard_of")
KINDS = ("va", "call_tracking", "dynamic_call_tracking")
DATES = (None, "2024-02-29 00:00:00", "2026-03-29 01:30:00", "2026-10-25 01:30:00", "1999-12-31 23:59:59")
EXTRAS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {},
    {"weight": 1},
    {"новое": ["a\u0000", None, {"k": True}]},
    {"weight": 2, "tag": "␀"},
)


@dataclass
class Number:
    """A number: its scalar fields by API name, its campaigns with their blocks, its scenario links."""

    id: int
    fields: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)
    campaigns: dict[int, dict[int, bool | None]] = field(default_factory=dict)
    scenarios: dict[tuple[int, int | None], bool | None] = field(default_factory=dict)


@dataclass
class Customer:
    """A customer with all objects that its numbers refer to.

    `lives`: the periods of each number, in ticks; `unseen`: the ids that a key, or a user, does not see; `refused`: the
    users that may not list numbers; `userless`: whether the agent sees no user of it.
    """

    id: int
    name: str
    timezone: str
    users: list[int]
    rng: random.Random
    numbers: dict[int, Number] = field(default_factory=dict)
    heap: list[int] = field(default_factory=list)
    graves: list[Number] = field(default_factory=list)
    campaigns: dict[int, list[Any]] = field(default_factory=dict)
    sites: dict[int, str | None] = field(default_factory=dict)
    blocks: dict[int, list[Any]] = field(default_factory=dict)
    scenarios: dict[int, str | None] = field(default_factory=dict)
    lives: dict[int, list[list[int | None]]] = field(default_factory=dict)
    last_change: int = 0
    unseen: dict[Key | int, set[int]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    status: str = ACTIVE
    userless: bool = False

    # -- periods of numbers

    def alive_throughout(self, number_id: int, start: int, end: int) -> bool:
        """Whether the number existed at every tick from `start` to `end`."""
        return any(b is not None and b <= start and (d is None or d > end) for b, d in self.lives.get(number_id, ()))

    def alive_sometime(self, number_id: int, start: int, end: int) -> bool:
        """Whether the number existed at some tick from `start` to `end`."""
        return any(b is not None and b <= end and (d is None or d > start) for b, d in self.lives.get(number_id, ()))

    def unseen_by(self, viewer: Viewer) -> set[int]:
        """The ids of existing and former numbers that this viewer does not see."""
        by_user = set() if viewer.user is None else self.unseen.get(viewer.user, set())
        return by_user | self.unseen.get(viewer.key, set())

    def visible_to(self, viewer: Viewer) -> list[int]:
        """The ids of the existing numbers that this viewer sees, in the heap's order."""
        hidden = self.unseen_by(viewer)
        return [n for n in self.heap if n not in hidden]

    # -- changes of numbers

    def bear(self, number: Number, tick: int) -> None:
        """Add a number, somewhere in the heap."""
        self.numbers[number.id] = number
        self.heap.insert(self.rng.randrange(len(self.heap) + 1), number.id)
        self.lives.setdefault(number.id, []).append([tick, None])

    def bury(self, number_id: int, tick: int) -> Number:
        """Remove a number."""
        number = self.numbers.pop(number_id)
        self.heap.remove(number_id)
        self.lives[number_id][-1][1] = tick
        self.graves.append(number)
        return number

    def touched(self, number_id: int) -> None:
        """Move an edited row to the end of the heap, as a real database does."""
        self.heap.remove(number_id)
        self.heap.append(number_id)

    def fill(self) -> None:
        """Draw campaigns, sites, blocks and scenarios."""
        rng = self.rng
        for n in range(rng.randrange(1, 4)):
            self.sites[self.id * 100 + n] = rng.choice((None, "a.example", "b.example", "пример.example"))
        for n in range(rng.randrange(0, 5)):
            self.blocks[self.id * 1000 + n] = [rng.choice(TEXTS), rng.choice(list(self.sites)), {}]
        for n in range(rng.randrange(1, 6)):
            site = rng.choice([None, *self.sites])
            self.campaigns[self.id * 10 + n] = [rng.choice(TEXTS), site, rng.choice(EXTRAS)]
        for n in range(rng.randrange(1, 5)):
            self.scenarios[n + 1] = rng.choice(TEXTS)

    def draw_number(self, number_id: int) -> Number:
        """A number with random fields and links."""
        rng = self.rng
        fields = {
            "child_customer_id": rng.choice((None, None, self.id, self.id, OUTSIDER)),
            "virtual_phone_number": f"+7{rng.randrange(10**10):010d}",
            "redirection_phone_number": rng.choice((None, "", "88005553535")),
            "activation_date": rng.choice(DATES),
            "status": rng.choice(STATUSES),
            "category": rng.choice(CATEGORIES),
            "type": rng.choice(KINDS),
            "comment": rng.choice((None, *TEXTS)),
            "name": rng.choice((None, *TEXTS)),
        }
        number = Number(number_id, fields, rng.choice(EXTRAS))
        for _ in range(rng.choice((0, 1, 1, 2))):
            self.join_campaign(number)
        for _ in range(rng.choice((0, 1, 1, 2))):
            self.toggle_scenario(number)
        return number

    def join_campaign(self, number: Number) -> None:
        """Add a campaign with some blocks of its site, or remove the drawn one if the number has it."""
        rng = self.rng
        campaign = rng.choice(list(self.campaigns))
        if campaign in number.campaigns:
            del number.campaigns[campaign]
            return
        site = self.campaigns[campaign][1]
        blocks = [b for b, (_, where, _) in self.blocks.items() if where == site]
        chosen = rng.sample(blocks, rng.randrange(len(blocks) + 1))
        number.campaigns[campaign] = {b: rng.choice((True, False, None)) for b in chosen}

    def toggle_scenario(self, number: Number) -> None:
        """Add a scenario link under some rule (null: none), or remove it."""
        rng = self.rng
        link = (rng.choice(list(self.scenarios)), rng.choice((None, 7, 8, 9)))
        if link in number.scenarios:
            del number.scenarios[link]
        else:
            number.scenarios[link] = rng.choice((True, False, None))

    # -- records as the API sends them

    def record(self, number_id: int, edition: str, rng: random.Random) -> dict[str, Any]:
        """The number's record in an edition; arrays come in any order, because their order has no meaning."""
        number = self.numbers[number_id]
        fields = dict(number.fields)
        if edition == "older":
            for name in ("child_customer_id", "comment", "name"):
                del fields[name]
        campaigns = [self._campaign(c, blocks) for c, blocks in number.campaigns.items()]
        scenarios = [self._scenario(link, active, edition) for link, active in number.scenarios.items()]
        if len(campaigns) > 1:
            rng.shuffle(campaigns)
        if len(scenarios) > 1:
            rng.shuffle(scenarios)
        return {"id": number_id, **fields, **number.extra, "campaigns": campaigns, "scenarios": scenarios}

    def _campaign(self, campaign_id: int, blocks: dict[int, bool | None]) -> dict[str, Any]:
        name, site, extra = self.campaigns[campaign_id]
        return {
            "campaign_id": campaign_id,
            "campaign_name": name,
            "site_id": site,
            "site_domain_name": None if site is None else self.sites[site],
            "site_blocks": [
                {"site_block_id": b, "site_block_name": self.blocks[b][0], "is_tracking": tracking, **self.blocks[b][2]}
                for b, tracking in blocks.items()
            ],
            **extra,
        }

    def _scenario(self, link: tuple[int, int | None], active: bool | None, edition: str) -> dict[str, Any]:
        scenario_id, rule = link
        sent: dict[str, Any] = {"scenario_id": scenario_id, "scenario_name": self.scenarios[scenario_id]}
        if edition == "newer":
            sent |= {"call_processing_rule_id": rule, "is_active": active}
        return sent
