"""Types of changes: their kinds, the version pairs that they are read from, change events and their subjects."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field


class Kind(StrEnum):
    """Kinds of change events. They are stable: users rely on them in JSON and CSV. Totals are in this order."""

    NUMBER_FIRST_SEEN = "number_first_seen"
    NUMBER_ADDED = "number_added"
    NUMBER_CAME_BACK = "number_came_back"
    NUMBER_MOVED_IN = "number_moved_in"
    NUMBER_MOVED_OUT = "number_moved_out"
    NUMBER_REMOVED = "number_removed"
    MOVED = "moved"
    CAMPAIGN_JOINED = "campaign_joined"
    CAMPAIGN_LEFT = "campaign_left"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    STATUS_CHANGED = "status_changed"
    NAME_CHANGED = "name_changed"
    COMMENT_CHANGED = "comment_changed"
    REDIRECTED = "redirected"
    TYPE_CHANGED = "type_changed"
    CATEGORY_CHANGED = "category_changed"
    PHONE_CHANGED = "phone_changed"
    ACTIVATION_CHANGED = "activation_changed"
    CUSTOMER_CHANGED = "customer_changed"
    FIELDS_CHANGED = "fields_changed"
    CONTENT_ERASED = "content_erased"
    RULE_SWITCHED_ON = "rule_switched_on"
    RULE_SWITCHED_OFF = "rule_switched_off"
    RULE_CHANGED = "rule_changed"
    SCENARIO_GIVEN = "scenario_given"
    SCENARIO_TAKEN = "scenario_taken"
    BLOCK_JOINED = "block_joined"
    BLOCK_LEFT = "block_left"
    TRACKING_SWITCHED_ON = "tracking_switched_on"
    TRACKING_SWITCHED_OFF = "tracking_switched_off"
    TRACKING_CHANGED = "tracking_changed"
    KNOWN = "known"
    FIRST_SEEN = "first_seen"
    APPEARED = "appeared"
    CAME_BACK = "came_back"
    DISAPPEARED = "disappeared"
    RENAMED = "renamed"
    SITE_CHANGED = "site_changed"
    CHANGED = "changed"


class Pair(Struct, frozen=True, kw_only=True):
    """Values of one key of a table before and after an observation; at least one of the two is not None.

    `names`: the name of each id in the key, and the phone number under `virtual_phone_number`: after the observation,
    or just before it if the row ended. `came_back`: the key had a version that ended earlier. `first`: the account had
    not been observed before. `erased`: personal content of one of the two, or of both, was erased later. `reported`:
    paths of the fields that this observation reported for the first time. `elsewhere`: the other account of a number
    that moved.
    """

    table: str
    key: tuple[int, ...]
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    names: Mapping[str, str | None] = field(default_factory=dict)
    came_back: bool = False
    first: bool = False
    erased: bool = False
    reported: frozenset[str] = frozenset()
    elsewhere: Thing | None = None

    @property
    def change(self) -> str:
        """The word of the view `changes`: added, changed or removed."""
        return "changed" if self.before and self.after else "added" if self.after else "removed"


class Thing(Struct, frozen=True, kw_only=True):
    """Subject or object of a change: id and name then; `of`: the campaign of a block, the rule of a scenario."""

    entity: str
    id: int
    name: str | None = None
    of: Thing | None = None


class ChangeEvent(Struct, frozen=True, kw_only=True):
    """One change in the users' words: of a number (`number`), or of a campaign, site, block or scenario (`thing`).

    `thing` of a number that moved: the other account. `field`: the changed field, if it is one field. `before` and
    `after`: values of the field, or the things left and joined. `pairs`: the version changes that belong to it.
    """

    kind: Kind
    number: Thing | None = None
    thing: Thing | None = None
    field: str | None = None
    before: Any = None
    after: Any = None
    pairs: tuple[Pair, ...] = ()
