"""Fields that the API sends and the records do not declare: left out before conversion, kept as `extra` after it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from etl.transform.drift import DriftKind, DriftLog
from etl.transform.records import EXTRA, Campaign, Number, Scenario, SiteBlock

DEEPEST = 64
"""Levels of arrays and objects in one record. JSON functions of databases give up at a few hundred."""

_FIELDS: dict[type, frozenset[str]] = {
    kind: frozenset(f.encode_name for f in msgspec.structs.fields(kind)) - {EXTRA}
    for kind in (Number, Campaign, SiteBlock, Scenario)
}
_CHILDREN: dict[type, tuple[tuple[str, type], ...]] = {
    Number: (("campaigns", Campaign), ("scenarios", Scenario)),
    Campaign: (("site_blocks", SiteBlock),),
}


def deeper_than(value: Any, most: int) -> bool:
    """Whether arrays and objects are nested in more than `most` levels."""
    level = [value]
    for _ in range(most):
        level = [inner for item in level for inner in _inside(item) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def without_extras(sent: Any, kind: type = Number) -> Any:
    """The record with its declared fields only, at every level."""
    if not isinstance(sent, dict):
        return sent
    known = {k: v for k, v in sent.items() if k in _FIELDS[kind]}
    for name, child in _CHILDREN.get(kind, ()):
        if isinstance(known.get(name), list):
            known[name] = [without_extras(item, child) for item in known[name]]
    return known


def take_extras(target: Any, sent: dict[str, Any], drift: DriftLog, path: str = "$") -> None:
    """Give the undeclared fields of `sent` to the struct made of the others, and note them."""
    kind = type(target)
    extra = {k: _one_spelling(v) for k, v in sent.items() if k not in _FIELDS[kind]}
    if extra:
        target.extra = extra
        for name in extra:
            drift.note(f"{path}.{name}", DriftKind.UNKNOWN_FIELD)
    for name, _ in _CHILDREN.get(kind, ()):
        for item, raw in zip(getattr(target, name), sent[name], strict=True):
            take_extras(item, raw, drift, f"{path}.{name}[]")


def _one_spelling(value: Any) -> Any:
    """The value with 1.0 and 1e2 as 1 and 100, as JSONB has them, so that both databases hold and compare the same."""
    if isinstance(value, dict):
        return {name: _one_spelling(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_one_spelling(item) for item in value]
    return int(Decimal(repr(value))) if isinstance(value, float) and value.is_integer() else value
