"""Catalog of one customer: the campaigns, sites, blocks and scenarios that its numbers refer to."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec import Struct

from etl.sandbox import names
from etl.sandbox.records import Block, Bundle, Campaign, CampaignLink, Link, Scenario, ScenarioLink, Site

NextId = Callable[[str], int]
"""Function that returns the next unused id of a kind: 'site', 'block', 'campaign', 'scenario', 'rule', ..."""

VARIANTS = 4  # ways for numbers to belong to one campaign
RULES = 3  # call processing rules of one scenario


class Sizes(Struct, frozen=True):
    """How many campaigns, sites, blocks and scenarios a customer has."""

    campaigns: int
    sites: int
    blocks: int
    scenarios: int

    @classmethod
    def of(cls, numbers: int) -> Sizes:
        """The usual sizes of a customer with `numbers` numbers."""
        campaigns = max(3, numbers // 25)
        return cls(campaigns, max(1, campaigns // 4), campaigns * 2, max(2, numbers // 50))


class Catalog:
    """The shared objects of one customer. Lookups raise KeyError for an id of another customer."""

    def __init__(self, rng: Random, sizes: Sizes, next_id: NextId) -> None:
        self.renames = 0  # encoded links are valid until this changes
        self.sites = {s.id: s for s in (self._site(rng, next_id, n) for n in range(1, sizes.sites + 1))}
        sites = list(self.sites.values())
        blocks = [Block(next_id("block"), names.block(rng, n + 1), sites[n % len(sites)]) for n in range(sizes.blocks)]
        self.blocks = {block.id: block for block in blocks}
        campaigns = [
            Campaign(next_id("campaign"), names.campaign(rng, n + 1), sites[n % len(sites)])
            for n in range(sizes.campaigns)
        ]
        self.campaigns = {campaign.id: campaign for campaign in campaigns}
        self._link_campaigns(rng)
        scenarios = [Scenario(next_id("scenario"), names.scenario(rng, n + 1)) for n in range(sizes.scenarios)]
        self.scenarios = {scenario.id: scenario for scenario in scenarios}
        for scenario in scenarios:
            scenario.rules = tuple(_rule(scenario, next_id("rule")) for _ in range(rng.randint(1, RULES)))
        self._bundles: dict[tuple[Link, ...], Bundle] = {}
        self._links = [campaign.links for campaign in campaigns]
        self._rules = [rule for scenario in scenarios for rule in scenario.rules]
        self._rule = {pair[0].rule_id: pair for pair in self._rules}

    def bundle(self, links: tuple[Link, ...]) -> Bundle:
        """The bundle of these links, the same object for the same links."""
        found = self._bundles.get(links)
        if found is None:
            found = self._bundles[links] = Bundle(links)
        return found

    def draw_campaigns(self, rng: Random) -> Bundle:
        """Random campaigns for a number: mostly one, sometimes none, two or three."""
        chance = rng.random()
        if chance < 0.8:
            return self.bundle((rng.choice(rng.choice(self._links)),))
        if chance < 0.88:
            return self.bundle(())
        several = rng.sample(self._links, min(len(self._links), 2 if chance < 0.97 else 3))
        return self.bundle(tuple(rng.choice(links) for links in several))

    def draw_scenarios(self, rng: Random) -> Bundle:
        """Random scenarios for a number: none, one or two, with most of their rules on."""
        count = rng.choices((0, 1, 2), (15, 75, 10))[0]
        rules = rng.sample(self._rules, min(count, len(self._rules)))
        return self.bundle(tuple(rule[rng.random() < 0.85] for rule in rules))

    def campaign_bundle(self, rng: Random, campaign_id: int | None) -> Bundle:
        """The bundle of one campaign, or of none."""
        return self.bundle(() if campaign_id is None else (rng.choice(self.campaigns[campaign_id].links),))

    def switched(self, bundle: Bundle, is_active: bool) -> Bundle:
        """`bundle` with the rule of its first scenario on or off; the same one when there is none."""
        first = bundle.links[0] if bundle.links else None
        if not isinstance(first, ScenarioLink):
            return bundle
        return self.bundle((self._rule[first.rule_id][is_active], *bundle.links[1:]))

    def rename_campaign(self, campaign_id: int, name: str) -> None:
        """Change a campaign's name in all records at once."""
        self.campaigns[campaign_id].name = name
        self.renames += 1

    def rename_block(self, block_id: int, name: str) -> None:
        """Change a block's name in all records at once."""
        self.blocks[block_id].name = name
        self.renames += 1

    def rename_site(self, site_id: int, domain: str) -> None:
        """Change a site's address in all records at once."""
        self.sites[site_id].domain = domain
        self.renames += 1

    def rename_scenario(self, scenario_id: int, name: str) -> None:
        """Change a scenario's name in all records at once."""
        self.scenarios[scenario_id].name = name
        self.renames += 1

    @staticmethod
    def _site(rng: Random, next_id: NextId, number: int) -> Site:
        return Site(next_id("site"), names.domain(rng, number))

    def _link_campaigns(self, rng: Random) -> None:
        by_site: dict[int, list[Block]] = {site_id: [] for site_id in self.sites}
        for block in self.blocks.values():
            by_site[block.site.id].append(block)
        for campaign in self.campaigns.values():
            blocks = by_site[campaign.site.id]
            campaign.links = tuple(_variant(rng, campaign, blocks) for _ in range(VARIANTS))


def _variant(rng: Random, campaign: Campaign, blocks: list[Block]) -> CampaignLink:
    chosen = rng.sample(blocks, min(len(blocks), rng.choice((0, 1, 1, 2, 2, 3))))
    return CampaignLink(campaign, tuple((block, rng.random() < 0.7) for block in chosen))


def _rule(scenario: Scenario, rule_id: int) -> tuple[ScenarioLink, ScenarioLink]:
    return ScenarioLink(scenario, rule_id, False), ScenarioLink(scenario, rule_id, True)
