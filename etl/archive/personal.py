"""Personal content of one number in an answer of the listing: found, and made null, byte by byte.

Only the values of personal fields in the records of that number change. All else stays as it was sent, be it JSON that
no decoder takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from etl.archive.pieces import Pieces, cut
from etl.domain import json_spans
from etl.domain.json_spans import DEEPEST, Member, NotJson, Span
from etl.domain.text import storable

KEPT = frozenset({"id", "child_customer_id", "activation_date", "status", "category", "type", "campaigns", "scenarios"})
"""Fields that say nothing of a person. Phone numbers, comment, name and whatever is unknown become null."""
UNREADABLE = b'{"erased":true}'
"""Stands for an answer that names the number and cannot be taken apart."""
NULL = b"null"
UNUSABLE = b'"\xff"'
"""Stands for a value for which a record could not be used: no decoder takes it either, so the record stays unusable."""
_TEXTS = frozenset({"virtual_phone_number", "redirection_phone_number", "comment", "name"})
_EMPTY = frozenset({NULL, UNUSABLE})


@dataclass(frozen=True)
class Emptied:
    """An answer without the personal content of a number.

    `former`: the records that were changed, as they were, by their place in the array; empty where the answer has no
    digest of its pieces.
    """

    body: bytes
    former: dict[int, bytes] = field(default_factory=dict)


def emptied(body: bytes, number_id: int) -> Emptied:
    """The answer without the number's personal content; the same bytes where it holds none."""
    out, former, at = list[bytes](), dict[int, bytes](), 0
    try:
        pieces = cut(body) if _may_hold(body, number_id) else None
        for place, span, new in _changes(body, pieces, number_id):
            out += [body[at : span.begin], new]
            at = span.end
            if pieces is not None:
                former[place] = pieces.records[place]
    except NotJson:
        return Emptied(UNREADABLE if b'"result"' in body and _seems_to_name(body, number_id) else body)
    return Emptied(b"".join((*out, body[at:])), former) if out else Emptied(body)


def _changes(body: bytes, pieces: Pieces | None, number_id: int) -> Iterator[tuple[int, Span, bytes]]:
    """Place of each record that has to change, its span, and what it becomes. Raises `NotJson`."""
    if not _may_hold(body, number_id):
        return
    for place, span in enumerate(_spans_anywhere(body) if pieces is None else pieces.spans()):
        record = body[slice(*span)]
        if (new := emptied_record(record, number_id)) != record:
            yield place, span, new


def emptied_record(record: bytes, number_id: int) -> bytes:
    """The record with null for each personal field, when it is one of the number; else the same bytes.

    `UNREADABLE` for a record that seems to be one and cannot be taken apart.
    """
    if not _may_hold(record, number_id) or record[:1] != b"{":
        return record
    try:
        members = list(json_spans.members(record, 0))
    except NotJson:
        return UNREADABLE if _seems_to_name(record, number_id) else record
    if not _is_of(record, members, number_id):
        return record
    out, at = [], 0
    for member in members:
        value = record[member.begin : member.end]
        if member.name not in KEPT and value not in _EMPTY:
            out += [record[at : member.begin], _stand_in(member.name, value)]
            at = member.end
    return b"".join((*out, record[at:]))


def _stand_in(name: str, value: bytes) -> bytes:
    usable = value[:1] == b'"' if name in _TEXTS else json_spans.depth(value) < DEEPEST
    return NULL if usable and _is_plain(value) else UNUSABLE


def _is_plain(value: bytes) -> bool:
    """Whether decoders take a value, and keep all of it: no name comes twice in one object."""
    text = storable(value)
    try:
        msgspec.json.decode(text)
        json.loads(text, object_pairs_hook=_each_once)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def _each_once(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name comes twice")


def is_of(record: bytes, number_id: int) -> bool:
    """Whether an `id` of the record is the number's: as a whole number, or the same digits as text."""
    try:
        named = record[:1] == b"{" and _may_hold(record, number_id)
        return named and _is_of(record, json_spans.members(record, 0), number_id)
    except NotJson:
        return False


def _is_of(record: bytes, members: Iterable[Member], number_id: int) -> bool:
    wanted, found = str(number_id), [record[m.begin : m.end] for m in members if m.name == "id"]
    return any(wanted == (json_spans.decoded_string(t) if t[:1] == b'"' else t.decode("latin-1")) for t in found)


def names_it(body: bytes, number_id: int) -> bool:
    """Whether the answer has a record of the number, with personal content or without."""
    if not _may_hold(body, number_id):
        return False
    pieces = cut(body)
    try:
        spans = _spans_anywhere(body) if pieces is None else pieces.spans()
        return any(is_of(body[slice(*span)], number_id) for span in spans)
    except NotJson:
        return False


def is_emptied(body: bytes, number_id: int) -> bool:
    """Whether the answer holds no personal content of the number."""
    try:
        pieces = cut(body) if _may_hold(body, number_id) else None
        return next(_changes(body, pieces, number_id), None) is None
    except NotJson:
        return emptied(body, number_id).body == body


def _may_hold(text: bytes, number_id: int) -> bool:
    return b"%d" % number_id in text or b"\\u00" in text


# -- answers whose records are not where they should be, or that are cut off


def _spans_anywhere(body: bytes) -> Iterator[Span]:
    """Objects in each `data` of each `result`: an answer may name both twice."""
    top = json_spans.skip_space(body, 0)
    if body[top : top + 1] != b"{":
        raise NotJson("no object")
    for result in json_spans.members(body, top):
        if result.name == "result" and body[result.begin : result.begin + 1] == b"{":
            for data in json_spans.members(body, result.begin):
                if data.name == "data":
                    yield from _objects(body, Span(data.begin, data.end))


def _objects(body: bytes, span: Span) -> Iterator[Span]:
    first = body[span.begin : span.begin + 1]
    for found in json_spans.elements(body, span.begin) if first == b"[" else [span]:
        if body[found.begin : found.begin + 1] == b"{":
            yield found


def _seems_to_name(text: bytes, number_id: int) -> bool:
    """Whether text that is no JSON looks as if it told of the number."""
    return re.search(rb'"(?:i|\\u0069)(?:d|\\u0064)"\s*:\s*"?%d(?![0-9])' % number_id, text) is not None
