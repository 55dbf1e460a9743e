"""Fields of a number in words, for its history and its changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from etl.domain.tables import VIRTUAL_NUMBERS
from etl.report.values import as_json
from etl.report.wording import printable, quoted

_LABELS = {
    "virtual_phone_number": "phone",
    "status": "status",
    "category": "category",
    "type": "type",
    "redirection_phone_number": "redirected to",
    "name": "name",
    "comment": "comment",
    "activation_date": "activated",
    "child_customer_id": "customer",
}


def labels(columns: Iterable[str]) -> dict[str, str]:
    """Labels of a number's columns, in the order in which they are shown: a column without one has its own name."""
    others = {column: column for column in columns if column not in _LABELS and column != "extra"}
    return _LABELS | others | {"extra": "other fields"}


LABELS = labels(VIRTUAL_NUMBERS.value_names)
"""Labels of the declared columns."""
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
"""Nouns for fields as the subject of a sentence; an undocumented field has its own name."""
_SWITCHES = frozenset({"is_tracking", "is_active"})
_BARE = frozenset({"virtual_phone_number", "status", "category", "type", "redirection_phone_number", "activation_date"})
"""Columns of codes and figures: their values are quoted only if they are neither."""


def value(column: str, content: Any) -> str:
    """A field's content in words: codes as they are, free text in quotes, all else as JSON; `none` for None."""
    if content is None:
        return "none"
    if not isinstance(content, str):
        return as_json(content)
    code = content.isascii() and content.isprintable() and content == content.strip() and content
    plain = code and not set(content) & set('",;\\')
    return content if column in _BARE and plain else quoted(content, 200)


def described(values: Mapping[str, Any], *, phone: bool = True) -> str:
    """All known fields of a number in one line; without its phone number if `phone` is False."""
    bare = [value(c, values[c]) for c in ("status", "category", "type") if values.get(c) is not None]
    rest = [c for c in LABELS if c not in ("virtual_phone_number", "status", "category", "type")]
    more = [f"{LABELS[c]} {value(c, values[c])}" for c in rest if values.get(c) is not None]
    first = [value("virtual_phone_number", values["virtual_phone_number"])] if phone else []
    return ", ".join([*first, *bare, *more])


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Each field whose value changed: `status active -> manual_lock`."""
    for column, label in LABELS.items():
        if before.get(column) != after.get(column):
            yield f"{label} {value(column, before.get(column))} -> {value(column, after.get(column))}"


def noun(field: str) -> str:
    """Noun for a field as the subject of a sentence."""
    return _NOUNS.get(field) or printable(field)


def known_now(field: str, content: Any, *, of: str = "") -> str:
    """A field that was reported for the first time: `name is known now: "Ann"`. `of`: the thing that it belongs to."""
    subject = f"{noun(field)} of {of}" if of else noun(field)
    return f"{subject} is known now: {switch(content) if field in _SWITCHES else value(field, content)}"


def switch(state: Any) -> str:
    """A state in words: `on`, `off`, or `unknown` for any other value."""
    return {True: "on", False: "off"}.get(state, "unknown")
