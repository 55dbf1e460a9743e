"""From a record's bytes to a `Number`: fast where the record is as documented, tolerant where it is not.

A whole page is decoded in one go. When something in it is unforeseen, its records are taken one by one: unknown fields
move to `extra`, and a record that cannot be used is rejected with the place and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from etl.transform.drift import DriftKind, DriftLog
from etl.transform.records import CATEGORIES, EXTRA, STATUSES, TYPES, Campaign, Number, Scenario, SiteBlock


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A record that cannot be used: `path` where, `reason` why, `record` its JSON as sent."""

    virtual_number_id: int | None
    path: str
    reason: str
    record: bytes


@dataclass(frozen=True)
class Decoded:
    """The usable numbers of a page, and the records that are not."""

    numbers: list[Number]
    rejected: list[Rejected]


_page = msgspec.json.Decoder(list[Number])
_ENUMERATIONS = (("status", STATUSES), ("category", CATEGORIES), ("type", TYPES))
_ACTIVATION = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_PLACE = re.compile(r"^(?P<reason>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


def decode(records: Collection[bytes | msgspec.Raw], drift: DriftLog) -> Decoded:
    """Decode the records of a page; what departs from the documentation goes into `drift`."""
    try:
        numbers = _page.decode(b"[" + b",".join(records) + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _one_by_one(records, drift)
    if not all(map(_sound, numbers)):
        return _one_by_one(records, drift)
    _note_unknown_values(numbers, drift)
    return Decoded(numbers, [])


def _sound(number: Number) -> bool:
    """Whether the activation date is one; the other fields were checked by their types."""
    sent = number.activation_date
    return not isinstance(sent, str) or _is_local_time(sent)


def _is_local_time(sent: str) -> bool:
    if _ACTIVATION.fullmatch(sent) is None:
        return False
    try:
        return datetime.fromisoformat(sent).year < 9999
    except ValueError:
        return False


def _note_unknown_values(numbers: Collection[Number], drift: DriftLog) -> None:
    met = ({n.status for n in numbers}, {n.category for n in numbers}, {n.type for n in numbers})
    for (path, known), values in zip(_ENUMERATIONS, met, strict=True):
        for value in sorted(v or "null" for v in values - known):
            drift.note(f"$.{path}", DriftKind.UNKNOWN_VALUE, value)


def _one_by_one(records: Iterable[bytes | msgspec.Raw], drift: DriftLog) -> Decoded:
    decoded = Decoded([], [])
    for record in records:
        outcome = _tolerant(bytes(record), drift)
        if isinstance(outcome, Number):
            decoded.numbers.append(outcome)
        else:
            decoded.rejected.append(outcome)
    return decoded


def _tolerant(record: bytes, drift: DriftLog) -> Number | Rejected:
    number_id = None
    try:
        sent = msgspec.json.decode(record)
        number_id = _usable_id(sent)
        number = msgspec.convert(_without_extras(sent), Number)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        return _rejected(record, number_id, str(exc), drift)
    if not _sound(number):
        reason = f"not a date and time: {number.activation_date!r} - at `$.activation_date`"
        return _rejected(record, number_id, reason, drift)
    _take_extras(number, sent, drift)
    _note_unknown_values([number], drift)
    return number


def _usable_id(sent: object) -> int | None:
    value = sent.get("id") if isinstance(sent, dict) else None
    usable = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    return value if usable else None


def _rejected(record: bytes, number_id: int | None, message: str, drift: DriftLog) -> Rejected:
    match = _PLACE.match(message)
    assert match is not None
    path, reason = match["path"] or "$", match["reason"]
    general = re.sub(r"\[\d+\]", "[]", path)
    if reason.startswith("Expected"):
        drift.note(general, DriftKind.CHANGED_TYPE, reason)
    elif "missing required field" in reason:
        drift.note(general, DriftKind.MISSING_FIELD, reason.rpartition(" ")[2].strip("`"))
    return Rejected(virtual_number_id=number_id, path=path, reason=reason, record=record)


# -- unknown fields: left out before conversion, attached after it

_FIELDS: dict[type, frozenset[str]] = {
    kind: frozenset(f.encode_name for f in msgspec.structs.fields(kind)) - {EXTRA}
    for kind in (Number, Campaign, SiteBlock, Scenario)
}
_CHILDREN: dict[type, tuple[tuple[str, type], ...]] = {
    Number: (("campaigns", Campaign), ("scenarios", Scenario)),
    Campaign: (("site_blocks", SiteBlock),),
}


def _without_extras(sent: Any, kind: type = Number) -> Any:
    if not isinstance(sent, dict):
        return sent
    known = {k: v for k, v in sent.items() if k in _FIELDS[kind]}
    for name, child in _CHILDREN.get(kind, ()):
        if isinstance(known.get(name), list):
            known[name] = [_without_extras(item, child) for item in known[name]]
    return known


def _take_extras(target: Any, sent: dict[str, Any], drift: DriftLog, path: str = "$") -> None:
    kind = type(target)
    extra = {k: v for k, v in sent.items() if k not in _FIELDS[kind]}
    if extra:
        target.extra = extra
        for name in extra:
            drift.note(f"{path}.{name}", DriftKind.UNKNOWN_FIELD)
    for name, _ in _CHILDREN.get(kind, ()):
        for item, raw in zip(getattr(target, name), sent[name], strict=True):
            _take_extras(item, raw, drift, f"{path}.{name}[]")
