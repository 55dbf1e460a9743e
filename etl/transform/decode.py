"""Decoder: from a record's bytes to a `Number`. It is fast for documented records, and tolerant of others.

Records are decoded together. If anything in them is unexpected, they are decoded one by one: unknown fields
move to `extra`, and an unusable record is rejected with the place and the reason. An unusable element is rejected
alone, and the rest of its record is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from operator import attrgetter

import msgspec
from msgspec import Struct

from etl.domain.excess import Excess, excess_of, stand_in
from etl.domain.text import storable
from etl.transform.check import UNREADABLE, checked, is_local_time
from etl.transform.drift import DriftKind, DriftLog
from etl.transform.elements import RefusedElement, without_refused
from etl.transform.extras import take_extras
from etl.transform.records import CATEGORIES, STATUSES, TYPES, Id, Number
from etl.transform.repeats import keeps_everything

Record = bytes | msgspec.Raw
"""One record's JSON, as databases can hold it."""


class Rejected(Struct, frozen=True, kw_only=True):
    """Record, or one element of it, that cannot be used: the place (`path`), the `reason`, and the `record` as sent.

    If several elements of one record are refused, the first entry holds the record, to which all paths refer, and
    each further entry only its element: a record is kept once. `keeps_open`: for an element, the tables in which it
    may stand for any row of its number; for a record, none.
    """

    virtual_number_id: int | None
    path: str
    reason: str
    record: bytes
    keeps_open: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the whole record was refused, so that nothing of it is recorded."""
        return not self.keeps_open


class Decoded(Struct, frozen=True):
    """The usable numbers of some records, and the records and elements that are not usable."""

    numbers: list[Number]
    rejected: list[Rejected]


def partly_read(rejected: Iterable[Rejected]) -> set[int]:
    """The ids of numbers that are recorded without some element."""
    return {r.virtual_number_id for r in rejected if r.virtual_number_id is not None and not r.whole}


class _WithId(msgspec.Struct, gc=False):
    id: Id


_id = msgspec.json.Decoder(_WithId)
_many = msgspec.json.Decoder(list[Number])
_split: Callable[[bytes], list[Record]] = msgspec.json.Decoder(list[msgspec.Raw]).decode  # type: ignore[assignment]  # a list of one of the two
_ENUMERATIONS = (("status", STATUSES), ("category", CATEGORIES), ("type", TYPES))
_LOCAL_TIMES = re.compile(r"(?:(?!9999)\d{4}-\d\d-\d\d (?:[01]\d|2[0-3]):\d\d:\d\d\n)*", re.ASCII)
_enumerated = attrgetter(*(field for field, _ in _ENUMERATIONS))
_PLACE = re.compile(r"^(?P<reason>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


def joined(records: Iterable[Record]) -> bytes:
    """The records of a page as one JSON array."""
    return b"[" + b",".join(records) + b"]"


def split(page: bytes) -> list[Record]:
    """The records of a page that was `joined`."""
    return _split(page)


def decode(records: Collection[Record], drift: DriftLog) -> Decoded:
    """Decode some records of a page. Differences from the documentation go into `drift`."""
    together = joined(records)
    try:
        numbers = _many.decode(together)
    except UNREADABLE:
        return _one_by_one(records, drift)
    if not _all_dates_valid(numbers) or not keeps_everything(together, numbers):
        return _one_by_one(records, drift)
    _note_unknown_values(numbers, drift)
    return Decoded(numbers, [])


def is_usable(sent: bytes) -> bool:
    """Whether a record, as it was sent, is recorded, be it without some of its elements."""
    record = storable(sent)
    if stand_in(record, None) is not None:
        return False
    return not any(rejected.whole for rejected in decode([record], DriftLog()).rejected)


def _all_dates_valid(numbers: Collection[Number]) -> bool:
    """Whether all activation dates are valid: checked at once if all are written alike, which is usual."""
    dates = [n.activation_date for n in numbers if isinstance(n.activation_date, str)]
    if _LOCAL_TIMES.fullmatch("".join(f"{date}\n" for date in dates)) is None:
        return all(map(is_local_time, dates))
    try:
        return all(map(datetime.fromisoformat, dates))
    except ValueError:
        return False


def _note_unknown_values(numbers: Collection[Number], drift: DriftLog) -> None:
    seen = zip(*set(map(_enumerated, numbers)), strict=True)
    for (path, known), values in zip(_ENUMERATIONS, map(frozenset, seen), strict=False):
        for value in sorted("null" if v is None else v for v in values - known):
            drift.note(f"$.{path}", DriftKind.UNKNOWN_VALUE, value)


def _one_by_one(records: Iterable[Record], drift: DriftLog) -> Decoded:
    decoded = Decoded([], [])
    for record in records:
        _take(bytes(record), decoded, drift)
    return decoded


def _take(record: bytes, decoded: Decoded, drift: DriftLog) -> None:
    if (found := excess_of(record)) is not None:
        decoded.rejected.append(_too_large(found))
        return
    refused: list[RefusedElement] = []
    try:
        number, sent = checked(record, Number)
    except UNREADABLE as exc:
        try:
            usable, refused = without_refused(record)
            number, sent = checked(usable, Number)
        except UNREADABLE as final:
            decoded.rejected.append(_rejected(record, str(final if refused else exc), drift))
            return
    take_extras(number, sent, drift)
    _note_unknown_values([number], drift)
    decoded.numbers.append(number)
    kept = [record, *(element.sent for element in refused[1:])]
    decoded.rejected.extend(_rejected_element(number.id, *pair, drift) for pair in zip(refused, kept, strict=False))


def _id_of(record: bytes) -> int | None:
    """The id as the listing reads it, even of a record in which nothing else can be read."""
    try:
        return _id.decode(record).id
    except UNREADABLE:
        return None


def _rejected(record: bytes, message: str, drift: DriftLog) -> Rejected:
    path, reason = _placed(message, drift)
    return Rejected(virtual_number_id=_id_of(record), path=path, reason=reason, record=record)


def _too_large(found: Excess) -> Rejected:
    return Rejected(virtual_number_id=found.number_id, path="$", reason=found.reason, record=found.beginning.encode())


def _rejected_element(number_id: int, element: RefusedElement, kept: bytes, drift: DriftLog) -> Rejected:
    path, reason = _placed(element.message, drift)
    return Rejected(virtual_number_id=number_id, path=path, reason=reason, record=kept, keeps_open=element.keeps_open)


def _placed(message: str, drift: DriftLog) -> tuple[str, str]:
    """The place and the reason in a message; a difference from the documentation is noted as drift."""
    match = _PLACE.match(message)
    assert match is not None
    path, reason = match["path"] or "$", match["reason"]
    general = re.sub(r"\[\d+\]", "[]", path)
    if reason.startswith("Expected"):
        drift.note(general, DriftKind.CHANGED_TYPE, reason)
    elif "missing required field" in reason:
        drift.note(general, DriftKind.MISSING_FIELD, reason.rpartition(" ")[2].strip("`"))
    return path, reason
