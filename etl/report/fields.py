"""A number's fields in words, as its history and its changes tell them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from etl.report.values import as_json
from etl.report.wording import printable, quoted

LABELS = {
    "virtual_phone_number": "phone",
    "status": "status",
    "category": "category",
    "type": "type",
    "redirection_phone_number": "redirected to",
    "name": "name",
    "comment": "comment",
    "activation_date": "activated",
    "child_customer_id": "customer",
    "extra": "other fields",
}
"""What people call a number's columns, in the order in which they ask."""
_NOUNS = LABELS | {
    "redirection_phone_number": "redirection",
    "activation_date": "activation date",
    "campaign_name": "name",
    "site_domain_name": "domain",
    "site_block_name": "name",
    "scenario_name": "name",
    "site_id": "site",
    "is_tracking": "tracking",
    "call_processing_rule_id": "rule",
    "is_active": "state of the rule",
}
"""Fields as the subject of a sentence; one that is not documented goes by its own name."""
_SWITCHES = frozenset({"is_tracking", "is_active"})
_BARE = frozenset({"virtual_phone_number", "status", "category", "type", "redirection_phone_number", "activation_date"})
"""Columns of codes and figures: quoted only when they hold anything else."""


def value(column: str, told: Any) -> str:
    """A field's value: codes as they are, free text in quotes, other JSON as JSON."""
    if told is None:
        return "none"
    if not isinstance(told, str):
        return as_json(told)
    plain = told.isascii() and told.isprintable() and told == told.strip() and not set(told) & set('",;\\') and told
    return told if column in _BARE and plain else quoted(told, 200)


def described(values: Mapping[str, Any], *, phone: bool = True) -> str:
    """All that is known of a number, in one line; with its phone number, unless that has been said."""
    bare = [value(c, values[c]) for c in ("status", "category", "type") if values.get(c) is not None]
    rest = [c for c in LABELS if c not in ("virtual_phone_number", "status", "category", "type")]
    more = [f"{LABELS[c]} {value(c, values[c])}" for c in rest if values.get(c) is not None]
    first = [value("virtual_phone_number", values["virtual_phone_number"])] if phone else []
    return ", ".join([*first, *bare, *more])


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Each field that is not what it was: `status active -> manual_lock`."""
    for column, label in LABELS.items():
        if before.get(column) != after.get(column):
            yield f"{label} {value(column, before.get(column))} -> {value(column, after.get(column))}"


def noun(field: str) -> str:
    """A field as the subject of a sentence."""
    return _NOUNS.get(field) or printable(field)


def known_now(field: str, told: Any, *, of: str = "") -> str:
    """A field that was reported for the first time: `name is known now: "Ann"`. `of`: the thing that it belongs to."""
    subject = f"{noun(field)} of {of}" if of else noun(field)
    return f"{subject} is known now: {switch(told) if field in _SWITCHES else value(field, told)}"


def switch(told: Any) -> str:
    """What can be on or off, or neither where it is not known."""
    return {True: "on", False: "off"}.get(told, "unknown")
