"""Change events in the users' terms, from the versions that one observation ended and opened. Pure functions.

A pair is the state of one key before and after an observation. All pairs of a number are read together: a link that
ended and one that began are a move, and the links of an added or removed number are part of that event. Every pair
belongs to exactly one event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from etl.domain import tables as declared
from etl.read.change_kinds import ChangeEvent, Kind, Pair, Thing
from etl.read.newly_known import newly_known

LOCKS = frozenset({"manual_lock", "limit_lock"})
"""Statuses of a number that takes no calls, because it was locked by hand or by a limit."""
_FIELDS = {
    "virtual_phone_number": Kind.PHONE_CHANGED,
    "redirection_phone_number": Kind.REDIRECTED,
    "name": Kind.NAME_CHANGED,
    "comment": Kind.COMMENT_CHANGED,
    "type": Kind.TYPE_CHANGED,
    "category": Kind.CATEGORY_CHANGED,
    "activation_date": Kind.ACTIVATION_CHANGED,
    "child_customer_id": Kind.CUSTOMER_CHANGED,
}
"""Kinds by column; a change of any other column, `extra` among them, is `FIELDS_CHANGED`."""
_KEPT = tuple(c.name for c in declared.VIRTUAL_NUMBERS.values if not c.personal)
"""Columns of a number that an erasure does not empty."""


def of_number(pairs: Iterable[Pair]) -> Iterator[ChangeEvent]:
    """Events of one number at one observation, from all of its pairs."""
    by_table: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_table.setdefault(pair.table, []).append(pair)
    own = by_table.pop(declared.VIRTUAL_NUMBERS.name, [None])[0]
    links = [pair for several in by_table.values() for pair in several]
    if own is not None and own.before is None:
        yield _added(own, links)
    elif own is not None and own.after is None:
        yield _removed(own, links)
    else:
        number = _number(own or links[0])
        if own is not None:
            yield from _edited(own, number)
        campaigns = by_table.get(declared.NUMBER_CAMPAIGNS.name, [])
        blocks = by_table.get(declared.NUMBER_SITE_BLOCKS.name, [])
        yield from _reassigned(campaigns, blocks, number)
        yield from _scenarios(by_table.get(declared.NUMBER_SCENARIOS.name, []), number)


def _number(pair: Pair) -> Thing:
    phone = (pair.after or pair.before or {}).get("virtual_phone_number", pair.names.get("virtual_phone_number"))
    return Thing(entity="number", id=pair.key[0], name=phone)


def _added(own: Pair, links: Sequence[Pair]) -> ChangeEvent:
    kind = Kind.NUMBER_CAME_BACK if own.came_back else Kind.NUMBER_ADDED
    kind = Kind.NUMBER_FIRST_SEEN if own.first else kind
    kind = Kind.NUMBER_MOVED_IN if own.elsewhere else kind
    after = _whole(own.after, links)
    return ChangeEvent(kind=kind, number=_number(own), thing=own.elsewhere, after=after, pairs=(own, *links))


def _removed(own: Pair, links: Sequence[Pair]) -> ChangeEvent:
    kind = Kind.NUMBER_MOVED_OUT if own.elsewhere else Kind.NUMBER_REMOVED
    before = _whole(own.before, links)
    return ChangeEvent(kind=kind, number=_number(own), thing=own.elsewhere, before=before, pairs=(own, *links))


def _whole(values: Mapping[str, Any] | None, links: Sequence[Pair]) -> dict[str, Any]:
    """All data of a number: its fields, and the campaigns and scenarios that were added or removed with it."""
    campaigns = [_thing(p, "campaign") for p in links if p.table == declared.NUMBER_CAMPAIGNS.name]
    scenarios = [_scenario(p) for p in links if p.table == declared.NUMBER_SCENARIOS.name]
    return {**(values or {}), "campaigns": campaigns, "scenarios": scenarios}


def _edited(own: Pair, number: Thing) -> Iterator[ChangeEvent]:
    """One event for each changed field; the first has the pair. Changes in erased content are not known."""
    columns = _KEPT if own.erased else declared.VIRTUAL_NUMBERS.value_names
    known, rest = newly_known(own)
    pairs: tuple[Pair, ...] = (own,)
    for column in columns:
        old, new = (own.before or {}).get(column), rest.get(column)
        if old != new:
            kind = _status(old, new) if column == "status" else _FIELDS.get(column, Kind.FIELDS_CHANGED)
            yield ChangeEvent(kind=kind, number=number, field=column, before=old, after=new, pairs=pairs)
            pairs = ()
    if own.erased:
        known = {name: value for name, value in known.items() if name in columns}
    yield from _newly_known(known, ChangeEvent(kind=Kind.KNOWN, number=number, pairs=pairs))
    if own.erased and pairs and not known:
        yield ChangeEvent(kind=Kind.CONTENT_ERASED, number=number, pairs=pairs)


def _newly_known(known: Mapping[str, Any], change_event: ChangeEvent) -> Iterator[ChangeEvent]:
    """One event for each newly known field; the first has the pairs."""
    for name, value in known.items():
        yield replace(change_event, field=name, after=value)
        change_event = replace(change_event, pairs=())


def _status(old: Any, new: Any) -> Kind:
    if (old in LOCKS) == (new in LOCKS):
        return Kind.STATUS_CHANGED
    return Kind.LOCKED if new in LOCKS else Kind.UNLOCKED


# -- campaigns and their blocks


def _reassigned(campaigns: Sequence[Pair], blocks: Sequence[Pair], number: Thing) -> Iterator[ChangeEvent]:
    """Events of campaigns and blocks; a block that changed together with its campaign is part of that event."""
    left, joined = [p for p in campaigns if p.after is None], [p for p in campaigns if p.before is None]
    with_campaign = {(p.key[1], p.change) for p in campaigns}
    included = [p for p in blocks if (p.key[1], p.change) in with_campaign]
    if left and joined:
        yield ChangeEvent(
            kind=Kind.MOVED,
            number=number,
            before=[_thing(p, "campaign") for p in left],
            after=[_thing(p, "campaign") for p in joined],
            pairs=(*left, *joined, *included),
        )
    else:
        for pair in (*left, *joined):
            kind = Kind.CAMPAIGN_LEFT if pair.after is None else Kind.CAMPAIGN_JOINED
            own = tuple(p for p in included if p.key[1] == pair.key[1])
            yield ChangeEvent(kind=kind, number=number, thing=_thing(pair, "campaign"), pairs=(pair, *own))
    for pair in blocks:
        if pair not in included:
            yield from _block(pair, number)


def _block(pair: Pair, number: Thing) -> Iterator[ChangeEvent]:
    block = Thing(
        entity="site block", id=pair.key[2], name=pair.names.get("site_block_id"), of=_thing(pair, "campaign")
    )
    if pair.change != "changed":
        kind = Kind.BLOCK_JOINED if pair.change == "added" else Kind.BLOCK_LEFT
        yield ChangeEvent(kind=kind, number=number, thing=block, pairs=(pair,))
        return
    known, rest = newly_known(pair)
    yield from _newly_known(known, ChangeEvent(kind=Kind.KNOWN, number=number, thing=block, pairs=(pair,)))
    before, after = (pair.before or {}).get("is_tracking"), rest.get("is_tracking")
    if before != after:
        kind = _switched(before, after, Kind.TRACKING_SWITCHED_ON, Kind.TRACKING_SWITCHED_OFF, Kind.TRACKING_CHANGED)
        event = ChangeEvent(kind=kind, number=number, thing=block, field="is_tracking", before=before, after=after)
        yield replace(event, pairs=(pair,))


def _switched(before: Any, after: Any, on: Kind, off: Kind, otherwise: Kind) -> Kind:
    if before is None or after is None or bool(before) == bool(after):
        return otherwise
    return on if after else off


# -- scenarios and their rules


def _scenarios(pairs: Sequence[Pair], number: Thing) -> Iterator[ChangeEvent]:
    """Events of rules switched, scenarios added and removed; a rule with a newly known id is not a new scenario."""
    unnamed = {p.key[1]: p for p in pairs if p.change == "removed" and p.key[2] == 0}
    named = {p.key[1] for p in pairs if p.change == "added" and p.key[2] != 0} & unnamed.keys()
    carried = set[int]()
    for pair in pairs:
        scenario = pair.key[1]
        if scenario in named and pair.change == "added":
            before = unnamed[scenario]
            yield from _linked(
                replace(pair, before=before.before), number, (pair,) if scenario in carried else (pair, before)
            )
            carried.add(scenario)
        elif pair.change == "changed":
            yield from _linked(pair, number, (pair,))
        elif not (scenario in named and pair.key[2] == 0):
            kind = Kind.SCENARIO_GIVEN if pair.change == "added" else Kind.SCENARIO_TAKEN
            yield ChangeEvent(kind=kind, number=number, thing=_scenario(pair), pairs=(pair,))


def _linked(pair: Pair, number: Thing, pairs: tuple[Pair, ...]) -> Iterator[ChangeEvent]:
    """Events of a scenario's link that stayed, from `pair`; `pairs`: the version changes that they belong to."""
    known, rest = newly_known(pair)
    event = ChangeEvent(kind=Kind.KNOWN, number=number, thing=_scenario(pair), pairs=pairs)
    if rest != pair.before:
        before, after = (pair.before or {}).get("is_active"), rest.get("is_active")
        kind = _switched(before, after, Kind.RULE_SWITCHED_ON, Kind.RULE_SWITCHED_OFF, Kind.RULE_CHANGED)
        if kind is Kind.RULE_CHANGED:
            yield replace(event, kind=kind, before=dict(pair.before or {}), after=rest)
        else:
            yield replace(event, kind=kind, field="is_active", before=before, after=after)
        event = replace(event, pairs=())
    yield from _newly_known(known, event)


def _scenario(pair: Pair) -> Thing:
    rule = Thing(entity="rule", id=pair.key[2]) if pair.key[2] else None
    return Thing(entity="scenario", id=pair.key[1], name=pair.names.get("scenario_id"), of=rule)


def _thing(pair: Pair, entity: str) -> Thing:
    return Thing(entity=entity, id=pair.key[1], name=pair.names.get(f"{entity}_id"))


# -- campaigns, sites, site blocks and scenarios, which numbers share


def of_shared(pair: Pair) -> Iterator[ChangeEvent]:
    """Events of a campaign, site, site block or scenario; it exists while any number refers to it."""
    table = declared.BY_NAME[pair.table]
    name = table.value_names[0]
    values = pair.after or pair.before or {}
    thing = Thing(entity=table.entity, id=pair.key[0], name=values.get(name))
    pairs: tuple[Pair, ...] = (pair,)
    if pair.change != "changed":
        yield ChangeEvent(kind=_existence(pair), thing=thing, pairs=pairs)
        return
    known, rest = newly_known(pair)
    for column in table.value_names:
        before, after = (pair.before or {}).get(column), rest.get(column)
        if before != after:
            kind = Kind.RENAMED if column == name else Kind.SITE_CHANGED if column == "site_id" else Kind.CHANGED
            yield ChangeEvent(kind=kind, thing=thing, field=column, before=before, after=after, pairs=pairs)
            pairs = ()
    yield from _newly_known(known, ChangeEvent(kind=Kind.KNOWN, thing=thing, pairs=pairs))


def _existence(pair: Pair) -> Kind:
    if pair.after is None:
        return Kind.DISAPPEARED
    if pair.first:
        return Kind.FIRST_SEEN
    if pair.came_back:
        return Kind.CAME_BACK
    newly_reported = pair.table == declared.SITES.name and declared.CAMPAIGNS.path_of("site_id") in pair.reported
    return Kind.FIRST_SEEN if newly_reported else Kind.APPEARED
