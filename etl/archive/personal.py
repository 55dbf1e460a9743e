"""Removal of one number's personal content from an answer, byte by byte.

If an answer can be divided into records and fields, only the values of personal fields in the number's records change.
A part that seems to mention the number and cannot be divided is replaced: a record, all that is around the records, or
the whole answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field

from etl.archive.mentions import LARGEST_SEARCHED, Sought, is_unreadable
from etl.archive.pieces import Pieces, cut, id_of, record_spans
from etl.domain import json_spans
from etl.domain.json_spans import Member, NotJson, Span, members_if_object
from etl.domain.tables import VIRTUAL_NUMBERS, Kind
from etl.transform.decode import is_usable

_OF_OTHERS = frozenset({"id", "campaigns", "scenarios"})
KEPT = _OF_OTHERS | {column.name for column in VIRTUAL_NUMBERS.values if not column.personal}
"""Fields without personal content. Phone numbers, comment, name and unknown fields become null."""
STAND_IN = b'{"erased":true}'
"""Replaces an answer, or a record without an id, that seems to mention the number and cannot be divided."""
_REST = (b'{"erased":true,"result":{"data":[', b"]}}")
"""Replaces the bytes around an answer's records, if they seem to mention the number."""
NULL = b"null"
UNUSABLE = b'"\xff"'
"""Replaces a value of an unusable record that null would make usable: every decoder refuses this one, too."""
_TEXTS = frozenset(column.name for column in VIRTUAL_NUMBERS.personal if column.kind is Kind.TEXT)
_EMPTY = frozenset({NULL, UNUSABLE})
_NAME = re.compile(rb'"[a-z_]{1,32}"[ \t\r\n]*:')
_BARE_NUMBER = re.compile(rb"-?[0-9]{1,19}")
_EXPONENT = re.compile(rb"[0-9.][eE][+-]?[0-9]")
_ENVELOPE = frozenset({"jsonrpc", "id", "result", "error"})
_VERSION = b'"2.0"'


class Emptied(Struct, frozen=True):
    """Answer without the personal content of a number.

    `former`: the original bytes of each changed record, by its index in the array; `rest`: the original bytes around
    the records, if they were replaced. Both are empty for an answer that cannot be cut into pieces.
    """

    body: bytes
    former: dict[int, bytes] = field(default_factory=dict)
    rest: bytes | None = None

    @property
    def whole(self) -> bool:
        """Whether more than single records were replaced."""
        return self.body == STAND_IN or self.rest is not None


def rest_stand_in(records: Sequence[bytes]) -> bytes:
    """Answer with these records, in which all that was around them is replaced."""
    return _REST[0] + b",".join(records) + _REST[1]


def emptied(body: bytes, sought: Sought) -> Emptied:
    """Answer without the number's personal content; the same bytes if it has none."""
    pieces = cut(body)
    if pieces is not None:
        return _emptied_pieces(pieces, sought)
    try:
        out, at, around = list[bytes](), 0, list[bytes]()
        for span in record_spans(body):
            around.append(body[at : span.begin])
            out += [around[-1], emptied_record(body[slice(*span)], sought)]
            at = span.end
        rest = body[at:]
        if not _rest_mentions(b"".join((*around, rest)), sought):
            return Emptied(b"".join((*out, rest)))
    except NotJson:
        pass
    return Emptied(STAND_IN if _may_mention(body, sought) else body)


def _emptied_pieces(pieces: Pieces, sought: Sought) -> Emptied:
    changed = dict(_changes(pieces, sought))
    former = {place: pieces.records[place] for place in changed}
    if _rest_mentions(pieces.rest(), sought):
        records = [changed.get(place, record) for place, record in enumerate(pieces.records)]
        return Emptied(rest_stand_in(records), former, pieces.rest())
    if not changed:
        return Emptied(pieces.body)
    out, at = [], 0
    for place, span in enumerate(pieces.spans()):
        if place in changed:
            out += [pieces.body[at : span.begin], changed[place]]
            at = span.end
    return Emptied(b"".join((*out, pieces.body[at:])), former)


def _changes(pieces: Pieces, sought: Sought) -> Iterator[tuple[int, bytes]]:
    """Index of each record that must change, and its new bytes."""
    for place, (record, owner) in enumerate(zip(pieces.records, pieces.ids(), strict=True)):
        if owner is None or _may_hold(record, sought.number_id):
            new = _emptied_record(record, owner, sought)
            if new != record:
                yield place, new


def emptied_record(record: bytes, sought: Sought) -> bytes:
    """Record with null for each personal field, if it belongs to the number; otherwise the same bytes.

    A stand-in replaces a record whose number is unclear and that seems to mention the number.
    """
    return _emptied_record(record, id_of(record), sought)


def _emptied_record(record: bytes, owner: int | None, sought: Sought) -> bytes:
    if record == _record_stand_in(owner):
        return record
    try:
        members = list(members_if_object(record, 0))
    except NotJson:
        members = []
    if _is_of(record, members, sought):
        new = _emptied_members(record, members)
        return _record_stand_in(owner) if sought.has_values_in(_own_values(new)) else new
    if sought.owner is not None:
        return record
    if owner is None:
        doubt = record != NULL and sought.is_mentioned_in(record)
    else:
        others = [record[m.begin : m.end] for m in members if m.name not in KEPT]
        doubt = any(_may_hold(value, sought.number_id) and sought.is_named_in(value) for value in others)
    return _record_stand_in(owner) if doubt else record


def _record_stand_in(owner: int | None) -> bytes:
    """Replacement of a whole record. It keeps the id, so that the answer's ids stay proved."""
    return STAND_IN if owner is None else b'{"erased":true,"id":%d}' % owner


def is_stand_in(record: bytes) -> bool:
    """Whether a record is the replacement of a whole record."""
    return record == _record_stand_in(id_of(record))


def _emptied_members(record: bytes, members: Iterable[Member]) -> bytes:
    """Record with null for each personal value. If only that makes it usable, the first one becomes `UNUSABLE`."""
    personal = [m for m in members if m.name not in KEPT and record[m.begin : m.end] not in _EMPTY]
    new = _with_values(record, personal, [NULL] * len(personal))
    if new == record or is_usable(record) or not is_usable(new):
        return new
    return _with_values(record, personal, [UNUSABLE, *[NULL] * (len(personal) - 1)])


def _with_values(record: bytes, members: Iterable[Member], values: Iterable[bytes]) -> bytes:
    out, at = [], 0
    for member, value in zip(members, values, strict=True):
        out += [record[at : member.begin], value]
        at = member.end
    return b"".join((*out, record[at:]))


def _own_values(record: bytes) -> bytes:
    """Record without its id, campaigns and scenarios: names and values that concern its number alone."""
    out, at = [], 0
    for member in json_spans.members(record, 0):
        if member.name in _OF_OTHERS:
            out.append(record[at : member.begin])
            at = member.end
    return b"".join((*out, record[at:]))


# -- the number that a record belongs to


def is_of(record: bytes, sought: Sought) -> bool:
    """Whether the record belongs to the number: an `id` member is its id, as a number or as text, in any spelling."""
    try:
        return record[:1] == b"{" and _is_of(record, list(json_spans.members(record, 0)), sought)
    except NotJson:
        return False


def _is_of(record: bytes, members: Sequence[Member], sought: Sought) -> bool:
    named = any(sought.equals(record[m.begin : m.end]) for m in members if m.name == "id")
    owners = [record[m.begin : m.end] for m in members if m.name == "child_customer_id"]
    return named and (sought.owner is None or b"%d" % sought.owner in owners)


def learn(body: bytes, sought: Sought) -> bool:
    """Whether the answer contains the number, with or without personal content; its values are added to `sought`."""
    pieces, found = cut(body), False
    try:
        spans = record_spans(body) if pieces is None else pieces.spans()
        for record in (body[slice(*span)] for span in spans):
            if _may_hold(record, sought.number_id):
                found = _learnt(record, sought) or found
    except NotJson:
        return found or (sought.owner is None and sought.is_named_in(body))
    return found or (pieces is not None and sought.owner is None and sought.is_named_in(pieces.rest()))


def _learnt(record: bytes, sought: Sought) -> bool:
    if not is_of(record, sought):
        return sought.is_named_in(record) and emptied_record(record, sought) != record
    for member in json_spans.members(record, 0):
        if member.name in _TEXTS and record[member.begin : member.begin + 1] not in (b"{", b"[", b"n"):
            sought.learn(record[member.begin : member.end])
    return True


def _may_hold(text: bytes, number_id: int) -> bool:
    """Whether the text may contain the id: its digits, plain or escaped as in JSON, a URL or HTML, or an exponent."""
    if b"%d" % number_id in text or any(escape in text for escape in (b"\\u003", b"%3", b"&#")):
        return True
    return _EXPONENT.search(text) is not None


# -- the bytes around the records, and answers without records


def _rest_mentions(rest: bytes, sought: Sought) -> bool:
    """Whether the bytes around the records mention the number; counters and the request's id are not mentions."""
    if sought.owner is not None:
        return False
    if len(rest) > LARGEST_SEARCHED:
        return True
    values = _NAME.sub(b"", rest)
    return sought.has_values_in(values) or sought.is_mentioned_in(_NAME.sub(b"", _without_counters(rest)))


def _may_mention(body: bytes, sought: Sought) -> bool:
    """Whether an answer without records may mention the number."""
    if body == STAND_IN or sought.owner is not None:
        return False
    return len(body) > LARGEST_SEARCHED or is_unreadable(body) or _rest_mentions(body, sought)


def _without_counters(text: bytes) -> bytes:
    """Answer without the numbers that every envelope has; the whole answer if it has another form."""
    out, at = [], 0
    try:
        for begin, end in list(_counters(text)):
            out.append(text[at:begin])
            at = end
    except NotJson:
        return text
    return b"".join((*out, text[at:]))


def _counters(text: bytes) -> Iterator[Span]:
    """Spans of the version, the request's id, an error's code, and bare numbers of the metadata. Raises `NotJson`."""
    top = list(members_if_object(text, json_spans.skip_space(text, 0)))
    if not {member.name for member in top} <= _ENVELOPE:
        return
    for member in top:
        token = text[member.begin : member.end]
        if (member.name == "id" and _BARE_NUMBER.fullmatch(token)) or token == _VERSION:
            yield Span(member.begin, member.end)
        for inner in members_if_object(text, member.begin):
            if (member.name, inner.name) == ("error", "code"):
                yield from _bare(text, [inner])
            elif (member.name, inner.name) == ("result", "metadata"):
                for entry in members_if_object(text, inner.begin):
                    yield from _bare(text, members_if_object(text, entry.begin) if entry.name == "limits" else [entry])


def _bare(text: bytes, members: Iterable[Member]) -> Iterator[Span]:
    for member in members:
        if member.name != "id" and _BARE_NUMBER.fullmatch(text, member.begin, member.end):
            yield Span(member.begin, member.end)
