"""Records of virtual numbers: the fields of a row, and its JSON in both editions.

A row is its own scalars and references to two shared bundles of links, one for campaigns and one for scenarios. The
JSON of a bundle is kept until something in it is renamed, so that encoding a row costs under a microsecond.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Edition = Literal["newer", "older"]

STATUSES = ("active", "waiting", "cleaning", "prereserved", "reserved", "manual_lock", "limit_lock")
CATEGORIES = ("usual", "bronze", "silver", "gold", "platinum")
TYPES = ("va", "call_tracking", "dynamic_call_tracking")

encode = msgspec.json.Encoder().encode


class Head(msgspec.Struct, gc=False):
    """The scalars of a number, in the order of the newer edition; of any type, because records may be spoiled."""

    id: int
    child_customer_id: int | None
    virtual_phone_number: str
    redirection_phone_number: str | None
    activation_date: str | None
    status: str
    category: str
    type: str
    comment: str | None
    name: str | None


class OlderHead(msgspec.Struct, gc=False):
    """The scalars of a number in the older edition."""

    id: int
    virtual_phone_number: str
    redirection_phone_number: str | None
    activation_date: str | None
    status: str
    category: str
    type: str


SCALARS: dict[Edition, tuple[str, ...]] = {"newer": Head.__struct_fields__, "older": OlderHead.__struct_fields__}
NESTED = ("campaigns", "scenarios")
ON_REQUEST = "site_blocks"  # only in an answer whose `fields` name it


@dataclass(slots=True, eq=False)
class Site:
    """A web site of a customer."""

    id: int
    domain: str


@dataclass(slots=True, eq=False)
class Block:
    """A block of numbers on one site."""

    id: int
    name: str
    site: Site


@dataclass(slots=True, eq=False)
class CampaignLink:
    """Link of numbers to a campaign, with these blocks, each tracked or not."""

    campaign: Campaign
    blocks: tuple[tuple[Block, bool], ...]

    def record(self, edition: Edition) -> dict[str, Any]:
        """The element of `campaigns`; the same in both editions."""
        return {
            "campaign_id": self.campaign.id,
            "site_id": self.campaign.site.id,
            "site_domain_name": self.campaign.site.domain,
            "campaign_name": self.campaign.name,
            "site_blocks": self.site_blocks(),
        }

    def site_blocks(self) -> list[dict[str, Any]]:
        """The blocks of this link as records."""
        return [{"site_block_id": b.id, "site_block_name": b.name, "is_tracking": on} for b, on in self.blocks]


@dataclass(slots=True, eq=False)
class Campaign:
    """An advertising campaign of one site, with a few variants of links to it."""

    id: int
    name: str
    site: Site
    links: tuple[CampaignLink, ...] = ()


@dataclass(slots=True, eq=False)
class ScenarioLink:
    """A scenario applied to numbers by one call processing rule, which is on or off."""

    scenario: Scenario
    rule_id: int
    is_active: bool

    def record(self, edition: Edition) -> dict[str, Any]:
        """The element of `scenarios`; the older edition does not report rules."""
        old = {"scenario_id": self.scenario.id, "scenario_name": self.scenario.name}
        if edition == "older":
            return old
        return old | {"call_processing_rule_id": self.rule_id, "is_active": self.is_active}


@dataclass(slots=True, eq=False)
class Scenario:
    """A call scenario, and for each of its rules the link that is off and the one that is on."""

    id: int
    name: str
    rules: tuple[tuple[ScenarioLink, ScenarioLink], ...] = ()


Link = CampaignLink | ScenarioLink
Stamp = tuple[int, Edition]  # count of renames, and the edition: encoded links depend on both


class Bundle:
    """The links of one kind of a number; numbers with the same links share the object."""

    __slots__ = ("_bytes", "_stamp", "links")

    def __init__(self, links: tuple[Link, ...]) -> None:
        self.links = links
        self._stamp: Stamp | None = None
        self._bytes = b""

    def json(self, stamp: Stamp) -> bytes:
        """The JSON array of the links; it is encoded again only when `stamp` has changed."""
        if self._stamp != stamp:
            self._bytes = encode([link.record(stamp[1]) for link in self.links])
            self._stamp = stamp
        return self._bytes


@dataclass(slots=True, eq=False)
class Row:
    """A number in the heap. `position` grows with every write: the heap's order."""

    head: Head
    campaigns: Bundle
    scenarios: Bundle
    position: int


def encode_row(row: Row, stamp: Stamp) -> bytes:
    """The complete record of `row` as the API sends it."""
    head = encode(row.head) if stamp[1] == "newer" else encode(_older(row.head))
    campaigns, scenarios = row.campaigns.json(stamp), row.scenarios.json(stamp)
    return b"".join((head[:-1], b',"campaigns":', campaigns, b',"scenarios":', scenarios, b"}"))


def select(row: Row, stamp: Stamp, fields: tuple[str, ...]) -> dict[str, Any]:
    """The named fields of `row`, in the record's own order; nested ones already encoded."""
    record: dict[str, Any] = {name: getattr(row.head, name) for name in SCALARS[stamp[1]] if name in fields}
    if "campaigns" in fields:
        record["campaigns"] = msgspec.Raw(row.campaigns.json(stamp))
    if ON_REQUEST in fields:
        record[ON_REQUEST] = _site_blocks(row.campaigns)
    if "scenarios" in fields:
        record["scenarios"] = msgspec.Raw(row.scenarios.json(stamp))
    return record


def default_fields(edition: Edition) -> tuple[str, ...]:
    """The names of a record's fields for a request without `fields`."""
    return SCALARS[edition] + NESTED


def _site_blocks(campaigns: Bundle) -> list[dict[str, Any]]:
    return [block for link in campaigns.links if isinstance(link, CampaignLink) for block in link.site_blocks()]


def _older(head: Head) -> OlderHead:
    return OlderHead(
        head.id, head.virtual_phone_number, head.redirection_phone_number, head.activation_date,
        head.status, head.category, head.type,
    )  # fmt: skip
