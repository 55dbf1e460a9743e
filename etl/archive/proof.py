"""Proof of a response that was erased from: all but the records that the erasures name is as it was received."""

from __future__ import annotations

from etl.archive.erasures import Erasure, Erasures, Replaced
from etl.archive.lines import Response
from etl.archive.objects import Objects
from etl.archive.personal import UNREADABLE, is_emptied, is_of
from etl.archive.pieces import LISTING, Pieces, cut


def erased_wrongly(line: Response, erasures: Erasures, objects: Objects) -> str | None:
    """Why the object in the place of an erased response cannot be what the erasures made of it; None when it can.

    Raises `IntegrityBroken` when the object is missing or damaged.
    """
    assert line.sha256 is not None
    found = erasures.of(line.sha256)
    foreign = [e.number for e, _ in found if line.method != LISTING or line.account_id not in (None, e.account_id)]
    if foreign:
        return f"erasure {foreign[0]} names a response that is of another account, or no listing"
    body = objects.get(erasures.now(line.sha256))
    if not all(is_emptied(body, erasure.virtual_number_id) for erasure, _ in found):
        return f"personal content stands in it that erasure {found[-1][0].number} says is gone"
    if line.records is None:
        return None if not any(replaced.records for _, replaced in found) else "its records have no digests"
    if body == UNREADABLE:
        return "all of it is gone, though its records were known"
    return _pieces_differ(body, line.records, found)


def _pieces_differ(body: bytes, records: str, found: list[tuple[Erasure, Replaced]]) -> str | None:
    pieces, former = cut(body), dict[int, str]()
    if pieces is None:
        return "it has no records any more"
    for erasure, replaced in found:
        for place, digest in replaced.records:
            if place >= len(pieces.records) or not _is_empty(pieces, place, erasure):
                return f"record {place} of it is not of the number that erasure {erasure.number} names"
            former.setdefault(place, digest)
    if pieces.digest(former) != records:
        return f"more of it was changed than erasure {found[-1][0].number} names"
    return None


def _is_empty(pieces: Pieces, place: int, erasure: Erasure) -> bool:
    record = pieces.records[place]
    return record == UNREADABLE or is_of(record, erasure.virtual_number_id)
