"""Record of a number as the API sends it, in both editions. A field that was not sent is UNSET, which is not null.

Encoded again, a record has exactly the fields that were sent (`omit_defaults`); `repeats` relies on that.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from etl.domain.tables import LONGEST_INDEXED
from etl.domain.text import MARK

Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Text = str | None | UnsetType
Indexed = Annotated[str, Meta(max_length=LONGEST_INDEXED)]
"""Text that an index covers; a test compares these fields with the tables' declaration."""

STATUSES = frozenset({"active", "waiting", "cleaning", "prereserved", "reserved", "manual_lock", "limit_lock"})
CATEGORIES = frozenset({"usual", "bronze", "silver", "gold", "platinum"})
TYPES = frozenset({"va", "call_tracking", "dynamic_call_tracking"})
"""Valid values of the enumerations, from the method's page; others are kept and reported."""

EXTRA = f"{MARK}extra"
"""Name of the field in JSON. The source cannot send it, because `domain.text` encodes its first character."""


class SiteBlock(msgspec.Struct, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """A number block of a site, as part of a campaign."""

    site_block_id: Id
    site_block_name: Text = UNSET
    is_tracking: bool | UnsetType | None = UNSET
    extra: dict[str, Any] | None = msgspec.field(default=None, name=EXTRA)


class Campaign(msgspec.Struct, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """An advertising campaign that holds the number."""

    campaign_id: Id
    site_blocks: list[SiteBlock]
    campaign_name: Text = UNSET
    site_id: Id | UnsetType | None = UNSET
    site_domain_name: Text = UNSET
    extra: dict[str, Any] | None = msgspec.field(default=None, name=EXTRA)


class Scenario(msgspec.Struct, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """A scenario that processes the number's calls, by a rule."""

    scenario_id: Id
    scenario_name: Text = UNSET
    call_processing_rule_id: Id | UnsetType | None = UNSET
    is_active: bool | UnsetType | None = UNSET
    extra: dict[str, Any] | None = msgspec.field(default=None, name=EXTRA)


class Number(msgspec.Struct, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """Virtual number. The fields without a default are required; an edition may lack the others."""

    id: Id
    virtual_phone_number: Indexed | None
    status: str | None
    category: str | None
    type: str | None
    campaigns: list[Campaign]
    scenarios: list[Scenario]
    child_customer_id: Id | UnsetType | None = UNSET
    redirection_phone_number: Indexed | UnsetType | None = UNSET
    activation_date: Text = UNSET
    comment: Text = UNSET
    name: Text = UNSET
    extra: dict[str, Any] | None = msgspec.field(default=None, name=EXTRA)
