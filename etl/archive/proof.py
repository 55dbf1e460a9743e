"""Proof of a response that was erased from: everything that the erasures do not name is as it was received."""

from __future__ import annotations

from etl.archive.erasures import Erasure, Erasures, Replaced
from etl.archive.lines import Response
from etl.archive.mentions import Sought
from etl.archive.objects import Objects
from etl.archive.personal import STAND_IN, emptied, is_of, is_stand_in, rest_stand_in
from etl.archive.pieces import Pieces, cut
from etl.archive.scope import within

Entry = tuple[Erasure, Replaced]


def erased_wrongly(line: Response, erasures: Erasures, objects: Objects) -> str | None:
    """Reason why the object of an erased response cannot be the result of the erasures; None when it can be.

    Raises `IntegrityBroken` when the object is missing or damaged.
    """
    assert line.sha256 is not None
    found = erasures.of(line.sha256)
    body = objects.get(erasures.now(line.sha256))
    pieces = None if line.records is None or body == STAND_IN else cut(body)
    if line.records is not None and body != STAND_IN and pieces is None:
        return "it has no records any more"  # checked before searching: an answer without pieces may have any size
    for erasure, replaced in found:
        sought = _sought(line, body, erasure)
        if sought is None or (sought.owner is not None and not replaced.records):
            return f"erasure {erasure.number} names a response that is of another account, or is not a listing"
        if emptied(body, sought).body != body:
            return f"it still has personal content that erasure {found[-1][0].number} lists as erased"
    if line.records is None:
        listed = any(replaced.records or replaced.rest for _, replaced in found)
        return "its records have no digests" if listed else None
    if pieces is None:
        return "it was replaced as a whole, although its records had digests"
    return _pieces_differ(line, line.records, pieces, found)


def _sought(line: Response, body: bytes, erasure: Erasure) -> Sought | None:
    return within(Sought(erasure.virtual_number_id), line, body, erasure.account_id)


def _pieces_differ(line: Response, records: str, pieces: Pieces, found: list[Entry]) -> str | None:
    former = dict[int, str]()
    for erasure, replaced in found:
        sought = _sought(line, pieces.body, erasure)
        for place, digest in replaced.records:
            if sought is None or place >= len(pieces.records) or not _is_empty(pieces.records[place], sought):
                return f"its record {place} does not belong to the number that erasure {erasure.number} names"
            former.setdefault(place, digest)
    rest = next((replaced.rest for _, replaced in found if replaced.rest is not None), None)
    if rest is not None and not _is_rest_replaced(pieces):
        return f"it has more around its records than erasure {found[-1][0].number} leaves"
    if pieces.digest(former, rest) != records:
        return f"more of it was changed than erasure {found[-1][0].number} names"
    return None


def _is_empty(record: bytes, sought: Sought) -> bool:
    return is_stand_in(record) or is_of(record, sought)


def _is_rest_replaced(pieces: Pieces) -> bool:
    return pieces.body == rest_stand_in(pieces.records)
