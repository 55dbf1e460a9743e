"""Pure: what happened, in the users' terms, told from the versions that one observation ended and opened.

A pair is what one key was before and after an observation. A number's pairs are read together: a link that ended and
one that began are a move, and the links of a number that came or went are part of its coming or going. Every pair is
told by exactly one happening.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from etl.domain import tables as declared

LOCKS = frozenset({"manual_lock", "limit_lock"})
"""Statuses in which a number takes no calls because somebody or a limit locked it."""


class Kind(StrEnum):
    """What can happen: part of the JSON and CSV that people rely on. In the order in which totals are told."""

    NUMBER_FIRST_SEEN = "number_first_seen"
    NUMBER_ADDED = "number_added"
    NUMBER_CAME_BACK = "number_came_back"
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
    RULE_REPORTED = "rule_reported"
    RULE_CHANGED = "rule_changed"
    SCENARIO_GIVEN = "scenario_given"
    SCENARIO_TAKEN = "scenario_taken"
    BLOCK_JOINED = "block_joined"
    BLOCK_LEFT = "block_left"
    TRACKING_SWITCHED_ON = "tracking_switched_on"
    TRACKING_SWITCHED_OFF = "tracking_switched_off"
    TRACKING_REPORTED = "tracking_reported"
    FIRST_SEEN = "first_seen"
    APPEARED = "appeared"
    CAME_BACK = "came_back"
    DISAPPEARED = "disappeared"
    RENAMED = "renamed"
    SITE_CHANGED = "site_changed"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One key of a table, before and after an observation: at least one of the two is there.

    `names`: what each id in the key, and `virtual_phone_number`, was called: after, or just before where it ended.
    `came_back`: the key had a version that ended earlier. `first`: the account had not been observed before.
    `erased`: the personal content of one of the two, or of both, was erased since.
    """

    table: str
    key: tuple[int, ...]
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    names: Mapping[str, str | None] = field(default_factory=dict)
    came_back: bool = False
    first: bool = False
    erased: bool = False

    @property
    def change(self) -> str:
        """The word of the view `changes`: added, changed or removed."""
        return "changed" if self.before and self.after else "added" if self.after else "removed"


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something with an id and the name that it had; `of`: the campaign of a block, the rule of a scenario."""

    entity: str
    id: int
    name: str | None = None
    of: Thing | None = None


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One thing that happened: to a number (`number`), or to a campaign, site, block or scenario (`thing`).

    `before` and `after`: a field's values, or the things left and joined. `pairs`: the version changes that it tells.
    """

    kind: Kind
    number: Thing | None = None
    thing: Thing | None = None
    before: Any = None
    after: Any = None
    pairs: tuple[Pair, ...] = ()


_FIELDS = {
    "virtual_phone_number": Kind.PHONE_CHANGED,
    "redirection_phone_number": Kind.REDIRECTED,
    "name": Kind.NAME_CHANGED,
    "comment": Kind.COMMENT_CHANGED,
    "type": Kind.TYPE_CHANGED,
    "category": Kind.CATEGORY_CHANGED,
    "activation_date": Kind.ACTIVATION_CHANGED,
    "child_customer_id": Kind.CUSTOMER_CHANGED,
    "extra": Kind.FIELDS_CHANGED,
}
_KEPT = tuple(c.name for c in declared.VIRTUAL_NUMBERS.values if not c.personal)
"""The columns of a number that an erasure leaves."""


def of_number(pairs: Iterable[Pair]) -> Iterator[Happening]:
    """What happened to one number at one observation, told from all of its pairs."""
    by_table: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_table.setdefault(pair.table, []).append(pair)
    own = by_table.pop(declared.VIRTUAL_NUMBERS.name, [None])[0]
    links = [pair for several in by_table.values() for pair in several]
    if own is not None and own.before is None:
        yield _came(own, links)
    elif own is not None and own.after is None:
        yield _went(own, links)
    else:
        number = _number(own or links[0])
        if own is not None:
            yield from _edited(own, number)
        campaigns = by_table.get(declared.NUMBER_CAMPAIGNS.name, [])
        blocks = by_table.get(declared.NUMBER_SITE_BLOCKS.name, [])
        yield from _travelled(campaigns, blocks, number)
        yield from _scenarios(by_table.get(declared.NUMBER_SCENARIOS.name, []), number)


def _number(pair: Pair) -> Thing:
    phone = (pair.after or pair.before or {}).get("virtual_phone_number", pair.names.get("virtual_phone_number"))
    return Thing(entity="number", id=pair.key[0], name=phone)


def _came(own: Pair, links: Sequence[Pair]) -> Happening:
    kind = Kind.NUMBER_CAME_BACK if own.came_back else Kind.NUMBER_ADDED
    kind = Kind.NUMBER_FIRST_SEEN if own.first else kind
    return Happening(kind=kind, number=_number(own), after=_whole(own.after, links), pairs=(own, *links))


def _went(own: Pair, links: Sequence[Pair]) -> Happening:
    before = _whole(own.before, links)
    return Happening(kind=Kind.NUMBER_REMOVED, number=_number(own), before=before, pairs=(own, *links))


def _whole(values: Mapping[str, Any] | None, links: Sequence[Pair]) -> dict[str, Any]:
    """All of a number: its fields, and the campaigns and scenarios that came or went with it."""
    campaigns = [_thing(p, "campaign") for p in links if p.table == declared.NUMBER_CAMPAIGNS.name]
    scenarios = [_scenario(p) for p in links if p.table == declared.NUMBER_SCENARIOS.name]
    return {**(values or {}), "campaigns": campaigns, "scenarios": scenarios}


def _edited(own: Pair, number: Thing) -> Iterator[Happening]:
    """One happening for each field; the first carries the pair. What changed in erased content nobody knows."""
    before, after = own.before or {}, own.after or {}
    pairs: tuple[Pair, ...] = (own,)
    for column in _KEPT if own.erased else declared.VIRTUAL_NUMBERS.value_names:
        old, new = before.get(column), after.get(column)
        if old != new:
            kind = _status(old, new) if column == "status" else _FIELDS[column]
            yield Happening(kind=kind, number=number, before=old, after=new, pairs=pairs)
            pairs = ()
    if own.erased and pairs:
        yield Happening(kind=Kind.CONTENT_ERASED, number=number, pairs=pairs)


def _status(old: Any, new: Any) -> Kind:
    if (old in LOCKS) == (new in LOCKS):
        return Kind.STATUS_CHANGED
    return Kind.LOCKED if new in LOCKS else Kind.UNLOCKED


# -- campaigns and their blocks


def _travelled(campaigns: Sequence[Pair], blocks: Sequence[Pair], number: Thing) -> Iterator[Happening]:
    """Moves between campaigns; a block whose campaign came or went with it is part of that."""
    left, joined = [p for p in campaigns if p.after is None], [p for p in campaigns if p.before is None]
    with_campaign = {(p.key[1], p.change) for p in campaigns}
    told = [p for p in blocks if (p.key[1], p.change) in with_campaign]
    if left and joined:
        yield Happening(
            kind=Kind.MOVED,
            number=number,
            before=[_thing(p, "campaign") for p in left],
            after=[_thing(p, "campaign") for p in joined],
            pairs=(*left, *joined, *told),
        )
    else:
        for pair in (*left, *joined):
            kind = Kind.CAMPAIGN_LEFT if pair.after is None else Kind.CAMPAIGN_JOINED
            own = tuple(p for p in told if p.key[1] == pair.key[1])
            yield Happening(kind=kind, number=number, thing=_thing(pair, "campaign"), pairs=(pair, *own))
    for pair in blocks:
        if pair not in told:
            yield _block(pair, number)


def _block(pair: Pair, number: Thing) -> Happening:
    block = Thing(
        entity="site block", id=pair.key[2], name=pair.names.get("site_block_id"), of=_thing(pair, "campaign")
    )
    if pair.change == "changed":
        before, after = _of(pair, "is_tracking")
        kind = _switched(before, after, Kind.TRACKING_SWITCHED_ON, Kind.TRACKING_SWITCHED_OFF, Kind.TRACKING_REPORTED)
        return Happening(kind=kind, number=number, thing=block, before=before, after=after, pairs=(pair,))
    kind = Kind.BLOCK_JOINED if pair.change == "added" else Kind.BLOCK_LEFT
    return Happening(kind=kind, number=number, thing=block, pairs=(pair,))


def _of(pair: Pair, column: str) -> tuple[Any, Any]:
    return (pair.before or {}).get(column), (pair.after or {}).get(column)


def _switched(before: Any, after: Any, on: Kind, off: Kind, otherwise: Kind) -> Kind:
    if before is None or after is None or bool(before) == bool(after):
        return otherwise
    return on if after else off


# -- scenarios and their rules


def _scenarios(pairs: Sequence[Pair], number: Thing) -> Iterator[Happening]:
    """Rules switched, scenarios given and taken; a rule that the source did not name before is no new scenario."""
    unnamed = {p.key[1]: p for p in pairs if p.change == "removed" and p.key[2] == 0}
    reported = {p.key[1] for p in pairs if p.change == "added" and p.key[2] != 0} & unnamed.keys()
    for pair in pairs:
        scenario = pair.key[1]
        if scenario in reported and pair.change == "removed" and pair.key[2] == 0:
            continue
        if scenario in reported and pair.change == "added":
            own = (unnamed.pop(scenario),) if scenario in unnamed else ()
            yield Happening(kind=Kind.RULE_REPORTED, number=number, thing=_scenario(pair), pairs=(pair, *own))
        else:
            yield _one_scenario(pair, number)


def _one_scenario(pair: Pair, number: Thing) -> Happening:
    kind = {"added": Kind.SCENARIO_GIVEN, "removed": Kind.SCENARIO_TAKEN}.get(pair.change)
    before, after = _of(pair, "is_active")
    if kind is None:
        kind = _switched(before, after, Kind.RULE_SWITCHED_ON, Kind.RULE_SWITCHED_OFF, Kind.RULE_CHANGED)
        if kind is Kind.RULE_CHANGED:
            before, after = dict(pair.before or {}), dict(pair.after or {})
    return Happening(kind=kind, number=number, thing=_scenario(pair), before=before, after=after, pairs=(pair,))


def _scenario(pair: Pair) -> Thing:
    rule = Thing(entity="rule", id=pair.key[2]) if pair.key[2] else None
    return Thing(entity="scenario", id=pair.key[1], name=pair.names.get("scenario_id"), of=rule)


def _thing(pair: Pair, entity: str) -> Thing:
    return Thing(entity=entity, id=pair.key[1], name=pair.names.get(f"{entity}_id"))


# -- what many numbers share


def of_shared(pair: Pair) -> Iterator[Happening]:
    """What happened to a campaign, site, site block or scenario; it exists while some number refers to it."""
    table = declared.BY_NAME[pair.table]
    name = table.value_names[0]
    told = pair.after or pair.before or {}
    thing = Thing(entity=table.entity, id=pair.key[0], name=told.get(name))
    pairs: tuple[Pair, ...] = (pair,)
    if pair.change != "changed":
        yield Happening(kind=_existence(pair), thing=thing, pairs=pairs)
        return
    for column in table.value_names:
        before, after = _of(pair, column)
        if before != after:
            kind = Kind.RENAMED if column == name else Kind.SITE_CHANGED if column == "site_id" else Kind.CHANGED
            yield Happening(kind=kind, thing=thing, before=before, after=after, pairs=pairs)
            pairs = ()


def _existence(pair: Pair) -> Kind:
    if pair.after is None:
        return Kind.DISAPPEARED
    if pair.first:
        return Kind.FIRST_SEEN
    return Kind.CAME_BACK if pair.came_back else Kind.APPEARED
