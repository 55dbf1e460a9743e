"""Changes in sentences for people, and as CSV cells and JSON objects for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etl.read.as_of import Observed
from etl.read.change_kinds import ChangeEvent, Kind, Thing
from etl.read.changes import Change, TimeRange
from etl.report.fields import LABELS, described, known_now, switch, value
from etl.report.terminal.tables import Cell, Table
from etl.report.values import as_json, iso, plain
from etl.report.wording import asked, counted, moment, named, printable, quoted, thousands
from etl.snapshot.csv_text import Cell as CsvCell

TOTALS = {
    Kind.NUMBER_FIRST_SEEN: "{numbers} seen for the first time",
    Kind.NUMBER_ADDED: "{numbers} added",
    Kind.NUMBER_CAME_BACK: "{numbers} that came back",
    Kind.NUMBER_MOVED_IN: "{numbers} moved from another account",
    Kind.NUMBER_MOVED_OUT: "{numbers} moved to another account",
    Kind.NUMBER_REMOVED: "{numbers} removed",
    Kind.MOVED: "moved to another campaign",
    Kind.CAMPAIGN_JOINED: "added to a campaign",
    Kind.CAMPAIGN_LEFT: "removed from a campaign",
    Kind.LOCKED: "locked",
    Kind.UNLOCKED: "unlocked",
    Kind.STATUS_CHANGED: "status changed",
    Kind.NAME_CHANGED: "name changed",
    Kind.COMMENT_CHANGED: "comment changed",
    Kind.REDIRECTED: "redirection changed",
    Kind.TYPE_CHANGED: "type changed",
    Kind.CATEGORY_CHANGED: "category changed",
    Kind.PHONE_CHANGED: "phone number changed",
    Kind.ACTIVATION_CHANGED: "activation date changed",
    Kind.CUSTOMER_CHANGED: "customer changed",
    Kind.FIELDS_CHANGED: "other fields changed",
    Kind.CONTENT_ERASED: "changed in content that was erased later",
    Kind.RULE_SWITCHED_ON: "{rules} switched on",
    Kind.RULE_SWITCHED_OFF: "{rules} switched off",
    Kind.RULE_CHANGED: "{rules} changed",
    Kind.SCENARIO_GIVEN: "added to a scenario",
    Kind.SCENARIO_TAKEN: "removed from a scenario",
    Kind.BLOCK_JOINED: "added to a site block",
    Kind.BLOCK_LEFT: "removed from a site block",
    Kind.TRACKING_SWITCHED_ON: "tracking switched on",
    Kind.TRACKING_SWITCHED_OFF: "tracking switched off",
    Kind.TRACKING_CHANGED: "tracking changed",
    Kind.KNOWN: "{fields} of {things} reported for the first time",
    Kind.FIRST_SEEN: "{things} seen for the first time",
    Kind.APPEARED: "{things} that came into use",
    Kind.CAME_BACK: "{things} in use again",
    Kind.DISAPPEARED: "{things} no longer used by any number",
    Kind.RENAMED: "{things} renamed",
    Kind.SITE_CHANGED: "{things} moved to another site",
    Kind.CHANGED: "{things} with other fields changed",
}
_ORDER = {kind: place for place, kind in enumerate(Kind)}


# -- totals


def total_words(kind: Kind, entity: str, count: int) -> str:
    """Words after a total: `numbers added`, `campaign renamed`."""
    nouns = {"numbers": "number", "rules": "rule", "fields": "field", "things": entity}
    return TOTALS[kind].format(**{name: noun if count == 1 else f"{noun}s" for name, noun in nouns.items()})


def totals_table(counts: Mapping[int, Counter[tuple[Kind, str]]], known: Mapping[int, Observed]) -> Table:
    """Table with one row for each account and kind of change; the account is named in its first row."""
    rows: list[list[Cell]] = []
    for account_id, found in sorted(counts.items()):
        first: list[Cell] = [account_id, known[account_id].account_name if account_id in known else None]
        for kind, entity in sorted(found, key=lambda k: (_ORDER[k[0]], k[1])):
            count = found[kind, entity]
            rows.append([*first, thousands(count), total_words(kind, entity, count)])
    columns = ["account", "name", "count", "change"]
    return Table(columns, rows, frozenset({"account", "count"}), once=["account", "name"])


def headline(window: TimeRange, counts: Mapping[int, Counter[tuple[Kind, str]]]) -> str:
    """Count of changes and their time range, in one sentence; fields that became known are not counted as changes."""
    known = sum(n for found in counts.values() for (kind, _), n in found.items() if kind is Kind.KNOWN)
    number = sum(sum(found.values()) for found in counts.values()) - known
    many = counted(number, "change") if number else "Nothing changed"
    many += f", {counted(known, 'field')} known for the first time" if known else ""
    since = f"observed after {asked(window.start)}" if window.start else "observed since the first sync"
    until = f" and not later than {asked(window.end)}" if window.end else ""
    return f"{many}, {since}{until} (UTC)."


# -- one change


def interval(change: Change, known: Mapping[int, Observed]) -> str:
    """The account of a change, and the observations between which it happened."""
    name = known[change.account_id].account_name if change.account_id in known else None
    after = change.previous_observed_at
    began = f"after {moment(after)}, not later than " if after else "found by the first observation, "
    return f"{named(change.account_id, name)}: {began}{moment(change.observed_at)} UTC"


def sentence(event: ChangeEvent) -> str:
    """A change event in one line: `74951234567 (100037): moved from ... to ...`. Quoted data cannot forge its words."""
    subject = event.number or event.thing
    if subject is None:
        return printable(event.kind.value)
    if event.number:
        return f"{_number(subject)}: {_of_number(event)}"
    of_the_name = event.kind is Kind.RENAMED or (event.kind is Kind.KNOWN and event.after == subject.name)
    name = str(subject.id) if of_the_name else _name(subject)
    return f"{subject.entity} {name}: {_of_thing(event)}"


def _number(number: Thing) -> str:
    return f"{value('virtual_phone_number', number.name)} ({number.id})" if number.name else f"number {number.id}"


def _name(thing: Thing) -> str:
    return f"{quoted(thing.name)} ({thing.id})" if thing.name is not None else str(thing.id)


def _names(things: Sequence[Thing]) -> str:
    return ", ".join(_name(thing) for thing in things)


def _whole(values: Mapping[str, Any]) -> str:
    parts = [described(values, phone=False)]
    if values["campaigns"]:
        parts.append(f"in {_names(values['campaigns'])}")
    if values["scenarios"]:
        parts.append("processed by " + ", ".join(_scenario(s) for s in values["scenarios"]))
    return "; ".join(parts)


def _scenario(thing: Thing | None) -> str:
    if thing is None:
        return "a scenario"
    return f"{_name(thing)} by rule {thing.of.id}" if thing.of else _name(thing)


def _block(thing: Thing | None) -> str:
    if thing is None:
        return "a site block"
    return f"site block {_name(thing)}" + (f" of campaign {_name(thing.of)}" if thing.of else "")


def _of_number(event: ChangeEvent) -> str:
    thing = event.thing
    if event.kind is Kind.KNOWN:
        return known_now(event.field or "", event.after, of=_owner(thing, event.field))
    if event.field and not thing:
        return _field(event, event.field)
    match event.kind:
        case Kind.NUMBER_FIRST_SEEN:
            return f"seen for the first time: {_whole(event.after)}"
        case Kind.NUMBER_ADDED:
            return f"added: {_whole(event.after)}"
        case Kind.NUMBER_CAME_BACK:
            return f"came back: {_whole(event.after)}"
        case Kind.NUMBER_MOVED_IN:
            return f"moved from {_account(thing)}: {_whole(event.after)}"
        case Kind.NUMBER_MOVED_OUT:
            return f"moved to {_account(thing)}; it was {_whole(event.before)}"
        case Kind.NUMBER_REMOVED:
            return f"removed; it was {_whole(event.before)}"
        case Kind.MOVED:
            return f"moved from campaign {_names(event.before)} to {_names(event.after)}"
        case Kind.CAMPAIGN_JOINED:
            return f"added to campaign {_name(thing)}" if thing else "added to a campaign"
        case Kind.CAMPAIGN_LEFT:
            return f"removed from campaign {_name(thing)}" if thing else "removed from a campaign"
        case Kind.CONTENT_ERASED:
            return "changed in personal content that was erased later"
        case _:
            return _of_link(event, thing)


def _of_link(event: ChangeEvent, thing: Thing | None) -> str:
    """A change of a number's link to a site block or a scenario."""
    state = "on" if event.after else "off"
    match event.kind:
        case Kind.BLOCK_JOINED:
            return f"added to {_block(thing)}"
        case Kind.BLOCK_LEFT:
            return f"removed from {_block(thing)}"
        case Kind.TRACKING_SWITCHED_ON | Kind.TRACKING_SWITCHED_OFF:
            return f"tracking switched {state} in {_block(thing)}"
        case Kind.TRACKING_CHANGED:
            return f"tracking in {_block(thing)}: {switch(event.before)} -> {switch(event.after)}"
        case Kind.SCENARIO_GIVEN:
            return f"added to scenario {_scenario(thing)}"
        case Kind.SCENARIO_TAKEN:
            return f"removed from scenario {_scenario(thing)}"
        case Kind.RULE_SWITCHED_ON | Kind.RULE_SWITCHED_OFF:
            return f"rule switched {state}: scenario {_scenario(thing)}"
        case _:
            return f"scenario {_scenario(thing)} changed: {_compared(event.before, event.after)}"


def _account(thing: Thing | None) -> str:
    return named(thing.id, thing.name) if thing else "another account"


def _owner(thing: Thing | None, field: str | None) -> str:
    """The block or scenario that a known field belongs to; a scenario with its rule, unless the field is the rule."""
    if thing is None:
        return ""
    if thing.entity == "site block":
        return _block(thing)
    return f"scenario {_name(thing) if field == 'call_processing_rule_id' else _scenario(thing)}"


def _field(event: ChangeEvent, column: str) -> str:
    change = f"{value(column, event.before)} -> {value(column, event.after)}"
    verb = {Kind.LOCKED: "locked, status", Kind.UNLOCKED: "unlocked, status"}.get(event.kind, LABELS[column])
    return f"{verb} {change}"


def _compared(before: Any, after: Any) -> str:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return "; ".join(
            f"{name} {value('', before.get(name))} -> {value('', after[name])}"
            for name in after
            if before.get(name) != after[name]
        )
    return f"{value('', before)} -> {value('', after)}"


def _of_thing(event: ChangeEvent) -> str:
    match event.kind:
        case Kind.KNOWN:
            return known_now(event.field or "", event.after)
        case Kind.FIRST_SEEN:
            return "seen for the first time"
        case Kind.APPEARED:
            return "came into use"
        case Kind.CAME_BACK:
            return "in use again"
        case Kind.DISAPPEARED:
            return "no longer used by any number"
        case Kind.RENAMED:
            return f"renamed from {_compared(event.before, event.after).replace(' -> ', ' to ', 1)}"
        case Kind.SITE_CHANGED:
            return f"moved to another site: {_compared(event.before, event.after)}"
        case _:
            return f"other fields {_compared(event.before, event.after)}"


# -- for programs


def as_object(change: Change) -> dict[str, Any]:
    """One change as a JSON object with the members `COLUMNS`."""
    event = change.change_event
    return {
        "account_id": change.account_id,
        "previous_observed_at": plain(change.previous_observed_at),
        "observed_at": iso(change.observed_at),
        "run_id": change.run_id,
        "kind": event.kind.value,
        "virtual_number_id": event.number.id if event.number else None,
        "virtual_phone_number": event.number.name if event.number else None,
        "entity": event.thing.entity if event.thing else "number",
        "entity_id": event.thing.id if event.thing else event.number.id if event.number else None,
        "entity_name": event.thing.name if event.thing else None,
        "field": event.field,
        "before": plain(event.before),
        "after": plain(event.after),
        "sentence": sentence(event),
    }


COLUMNS = (
    "account_id", "previous_observed_at", "observed_at", "run_id", "kind", "virtual_number_id", "virtual_phone_number",
    "entity", "entity_id", "entity_name", "field", "before", "after", "sentence",
)  # fmt: skip
"""Columns of the CSV, and names of the members of an object."""


def as_cells(change: Change) -> Iterator[CsvCell]:
    """One change as the cells of a CSV line; values that are neither text nor integers are written as JSON."""
    for cell in as_object(change).values():
        yield cell if cell is None or isinstance(cell, str | int) else as_json(cell)


def totals_object(
    counts: Mapping[int, Counter[tuple[Kind, str]]], known: Mapping[int, Observed]
) -> list[dict[str, Any]]:
    """The accounts as JSON objects, each with its count of changes by kind and entity."""
    return [
        {
            "account_id": account_id,
            "account_name": known[account_id].account_name if account_id in known else None,
            "totals": [
                {"kind": kind.value, "entity": entity, "count": found[kind, entity]}
                for kind, entity in sorted(found, key=lambda k: (_ORDER[k[0]], k[1]))
            ],
        }
        for account_id, found in sorted(counts.items())
    ]
