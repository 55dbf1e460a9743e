"""Fields that the API sends and the records do not declare: left out before conversion, kept as `extra` after it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec

from etl.transform.drift import DriftKind, DriftLog
from etl.transform.records import EXTRA, Campaign, Number, Scenario, SiteBlock

_FIELDS: dict[type[msgspec.Struct], frozenset[str]] = {
    kind: frozenset(f.encode_name for f in msgspec.structs.fields(kind)) - {EXTRA}
    for kind in (Number, Campaign, SiteBlock, Scenario)
}
CHILDREN: dict[type[msgspec.Struct], tuple[tuple[str, type[msgspec.Struct]], ...]] = {
    Number: (("campaigns", Campaign), ("scenarios", Scenario)),
    Campaign: (("site_blocks", SiteBlock),),
}
"""Fields that hold an array of elements, with the struct of an element."""


_encode = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode
_WITH_EXPONENT = re.compile(rb"[0-9]E-")


def spelled(extra: Any) -> str:
    """Canonical JSON text of unknown fields: names in order, no blanks, decimals with the digits that were sent."""
    text = _encode(extra)
    return (_encode(_in_plain_notation(extra)) if _WITH_EXPONENT.search(text) else text).decode()


def _in_plain_notation(value: Any) -> Any:
    """The value, with each decimal that Python would write with an exponent replaced by its plain JSON."""
    if isinstance(value, dict):
        return {name: _in_plain_notation(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_in_plain_notation(item) for item in value]
    return msgspec.Raw(format(value, "f").encode()) if isinstance(value, Decimal) else value


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


def without_extras(sent: Any, kind: type[msgspec.Struct] = Number) -> Any:
    """The record with its declared fields only, at every level."""
    if not isinstance(sent, dict):
        return sent
    known = {k: v for k, v in sent.items() if k in _FIELDS[kind]}
    for name, child in CHILDREN.get(kind, ()):
        if isinstance(known.get(name), list):
            known[name] = [without_extras(item, child) for item in known[name]]
    return known


def take_extras(target: Any, sent: dict[str, Any], drift: DriftLog, path: str = "$") -> None:
    """Copy the undeclared fields of `sent` into the struct that was made of the others, and note them as drift.

    `sent`: decoded, with decimals digit for digit.
    """
    kind = type(target)
    extra = {k: v for k, v in sent.items() if k not in _FIELDS[kind]}
    if extra:
        target.extra = extra
        for name in extra:
            drift.note(f"{path}.{name}", DriftKind.UNKNOWN_FIELD)
    for name, _ in CHILDREN.get(kind, ()):
        for item, raw in zip(getattr(target, name), sent[name], strict=True):
            take_extras(item, raw, drift, f"{path}.{name}[]")
