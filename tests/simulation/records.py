"""Records as the source sends them, and the state that each stands for; derived without code of the pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ABSENT = ("not reported",)
"""Marks a field that is not in a record, which differs from null."""

SCALARS = (
    "child_customer_id",
    "virtual_phone_number",
    "redirection_phone_number",
    "activation_date",
    "status",
    "category",
    "type",
    "comment",
    "name",
)
_NUMBER = {"id", "campaigns", "scenarios", *SCALARS}
_CAMPAIGN = {"campaign_id", "campaign_name", "site_id", "site_domain_name", "site_blocks"}
_BLOCK = {"site_block_id", "site_block_name", "is_tracking"}
_SCENARIO = {"scenario_id", "scenario_name", "call_processing_rule_id", "is_active"}

Row = tuple[Any, ...]
Shared = tuple[str, int, Row]


@dataclass(frozen=True)
class State:
    """State of a number in one record: the values of its row, its links, and the shared rows that it names.

    `unread`: arrays (campaigns, site_blocks, scenarios) with an element that cannot be read, so their other content is
    not known completely.
    """

    number: Row
    campaigns: frozenset[int]
    blocks: frozenset[Row]
    scenarios: frozenset[Row]
    shared: frozenset[Shared]
    unread: frozenset[str] = frozenset()


def state_of(record: dict[str, Any], unread: frozenset[str] = frozenset()) -> State:
    """The state of a sound record; elements of `unread` arrays that cannot be read are left out."""
    campaigns = record["campaigns"]
    shared: set[Shared] = set()
    blocks: set[Row] = set()
    for campaign in campaigns:
        _name_campaign(campaign, shared)
        for block in campaign["site_blocks"]:
            blocks.add((campaign["campaign_id"], block["site_block_id"], _field(block, "is_tracking")))
            site = campaign["site_id"]
            shared.add(
                ("site_blocks", block["site_block_id"], (_text(block["site_block_name"]), site, _extra(block, _BLOCK)))
            )
    scenarios = set()
    for scenario in record["scenarios"]:
        shared.add(("scenarios", scenario["scenario_id"], (_text(scenario["scenario_name"]),)))
        rule = _field(scenario, "call_processing_rule_id")
        active, extra = _field(scenario, "is_active"), _extra(scenario, _SCENARIO)
        scenarios.add((scenario["scenario_id"], 0 if rule is None else rule, active, extra))
    number = (*(_text(_field(record, name)) for name in SCALARS), _extra(record, _NUMBER))
    ids = frozenset(c["campaign_id"] for c in campaigns)
    return State(number, ids, frozenset(blocks), frozenset(scenarios), frozenset(shared), unread)


def _name_campaign(campaign: dict[str, Any], shared: set[Shared]) -> None:
    site = campaign["site_id"]
    row = (_text(campaign["campaign_name"]), site, _extra(campaign, _CAMPAIGN))
    shared.add(("campaigns", campaign["campaign_id"], row))
    if site is not None:
        shared.add(("sites", site, (_text(campaign["site_domain_name"]),)))


def _field(item: dict[str, Any], name: str) -> Any:
    return item.get(name, ABSENT)


def _extra(item: dict[str, Any], known: set[str]) -> str | None:
    if item.keys() <= known:
        return None
    return canonical(stored({k: v for k, v in item.items() if k not in known}))


def canonical(value: object) -> str:
    """JSON in one form, for comparison."""
    return json.dumps(value, sort_keys=True)


def _text(value: Any) -> Any:
    return stored(value) if isinstance(value, str) else value


_MARK = "\u2400"


def stored(value: Any) -> Any:
    """The stored form of a sent value: U+0000, lone surrogates and U+2400 become U+2400 and four hex digits."""
    if isinstance(value, str):
        return value if value.isascii() and "\0" not in value else "".join(map(_storable, value))
    if isinstance(value, dict):
        return {stored(k): stored(v) for k, v in value.items()}
    if isinstance(value, list):
        return [stored(v) for v in value]
    return value


def _storable(character: str) -> str:
    code = ord(character)
    held_back = code == 0 or code == 0x2400 or 0xD800 <= code <= 0xDFFF
    return f"{_MARK}{code:04x}" if held_back else character


# -- rows of the warehouse, and whether a record explains them


@dataclass(frozen=True)
class Held:
    """The warehouse's rows of one number: `number` (None: not open), and its links."""

    number: Row | None
    campaigns: frozenset[int] = frozenset()
    blocks: frozenset[Row] = frozenset()
    scenarios: frozenset[Row] = frozenset()


NOTHING = Held(None)


def wanted(state: State, before: Held) -> Held:
    """The rows after `state` was read over `before`: fields that a record does not report keep their values.

    If an element cannot be read, links of its kind that did not come again stay: the element may be one of them.
    """
    known = before.number or (None,) * len(state.number)
    number = tuple(k if v is ABSENT else v for v, k in zip(state.number, known, strict=True))
    campaigns = state.campaigns | (before.campaigns if "campaigns" in state.unread else frozenset())
    blocks, scenarios = _blocks(state, before), _scenarios(state, before)
    if state.unread & {"campaigns", "site_blocks"}:
        blocks |= {row for row in _unseen(before.blocks, blocks) if row[0] in campaigns}
    if "scenarios" in state.unread:
        scenarios |= _unseen(before.scenarios, scenarios)
    return Held(number, campaigns, blocks, scenarios)


def _unseen(before: frozenset[Row], now: frozenset[Row]) -> frozenset[Row]:
    """Links of `before` that are not in `now`, compared by the first two of their values."""
    keys = {row[:2] for row in now}
    return frozenset(row for row in before if row[:2] not in keys)


def _blocks(state: State, before: Held) -> frozenset[Row]:
    tracking = {row[:2]: row[2] for row in before.blocks}
    return frozenset((c, b, tracking.get((c, b)) if t is ABSENT else t) for c, b, t in state.blocks)


def _scenarios(state: State, before: Held) -> frozenset[Row]:
    """Links that are reported without their rule stand for the known links with a rule, if there are any."""
    out: set[Row] = set()
    for scenario, rule, active, extra in state.scenarios:
        known = [row for row in before.scenarios if row[0] == scenario]
        if rule is not ABSENT:
            out.add((scenario, rule, None if active is ABSENT else active, extra))
        elif known:
            out.update((scenario, row[1], row[2], extra) for row in known)
        else:
            out.add((scenario, 0, None if active is ABSENT else active, extra))
    return frozenset(out)


def shared_of(states: Iterable[State]) -> dict[tuple[str, int], set[Row]]:
    """All values that the states give to each shared row."""
    out: dict[tuple[str, int], set[Row]] = {}
    for state in states:
        for table, key, row in state.shared:
            out.setdefault((table, key), set()).add(row)
    return out
