"""Personal content of one number in an answer: found, and taken out byte by byte.

Only the values of personal fields in the records of that number change, where an answer can be taken apart. What seems
to tell of the number and cannot be taken apart is replaced: a record, all that is around the records, or the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from etl.archive.mentions import LARGEST_SEARCHED, Sought, is_unreadable
from etl.archive.pieces import Pieces, cut, id_of, record_spans
from etl.domain import json_spans
from etl.domain.json_spans import DEEPEST, Member, NotJson, Span
from etl.domain.tables import VIRTUAL_NUMBERS, Kind
from etl.domain.text import storable

_OF_OTHERS = frozenset({"id", "campaigns", "scenarios"})
KEPT = _OF_OTHERS | {column.name for column in VIRTUAL_NUMBERS.values if not column.personal}
"""Fields that say nothing of a person. Phone numbers, comment, name and whatever is unknown become null."""
STAND_IN = b'{"erased":true}'
"""Stands for an answer, or for a record without an id, that seems to tell of the number and cannot be taken apart."""
_REST = (b'{"erased":true,"result":{"data":[', b"]}}")
"""Stands around the records of an answer of which the rest seems to tell of the number."""
NULL = b"null"
UNUSABLE = b'"\xff"'
"""Stands for a value for which a record could not be used: no decoder takes it either, so the record stays unusable."""
_TEXTS = frozenset(column.name for column in VIRTUAL_NUMBERS.personal if column.kind is Kind.TEXT)
_EMPTY = frozenset({NULL, UNUSABLE})
_NAME = re.compile(rb'"[a-z_]{1,32}"[ \t\r\n]*:')
_BARE_NUMBER = re.compile(rb"-?[0-9]{1,19}")
_EXPONENT = re.compile(rb"[0-9.][eE][+-]?[0-9]")
_ENVELOPE = frozenset({"jsonrpc", "id", "result", "error"})
_VERSION = b'"2.0"'


@dataclass(frozen=True)
class Emptied:
    """An answer without the personal content of a number.

    `former`: the records that were changed, as they were, by their place in the array; `rest`: what was around the
    records, where that was replaced. Both empty where the answer has no digest of its pieces.
    """

    body: bytes
    former: dict[int, bytes] = field(default_factory=dict)
    rest: bytes | None = None

    @property
    def whole(self) -> bool:
        """Whether more than single records was replaced."""
        return self.body == STAND_IN or self.rest is not None


def rest_stand_in(records: Sequence[bytes]) -> bytes:
    """The answer of these records when what was around them is gone."""
    return _REST[0] + b",".join(records) + _REST[1]


def emptied(body: bytes, sought: Sought) -> Emptied:
    """The answer without the number's personal content; the same bytes where it holds none."""
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
        if not _tells(b"".join((*around, rest)), sought):
            return Emptied(b"".join((*out, rest)))
    except NotJson:
        pass
    return Emptied(STAND_IN if _is_in_doubt(body, sought) else body)


def _emptied_pieces(pieces: Pieces, sought: Sought) -> Emptied:
    changed = dict(_changes(pieces, sought))
    former = {place: pieces.records[place] for place in changed}
    if _tells(pieces.rest(), sought):
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
    """Place of each record that has to change, and what it becomes."""
    for place, (record, owner) in enumerate(zip(pieces.records, pieces.ids(), strict=True)):
        if owner is None or _may_hold(record, sought.number_id):
            new = _emptied_record(record, owner, sought)
            if new != record:
                yield place, new


def emptied_record(record: bytes, sought: Sought) -> bytes:
    """The record with null for each personal field, when it is one of the number; else the same bytes.

    A stand-in for one of which it cannot be said whose it is, and that seems to tell of the number.
    """
    return _emptied_record(record, id_of(record), sought)


def _emptied_record(record: bytes, owner: int | None, sought: Sought) -> bytes:
    if record == _gone(owner):
        return record
    try:
        members = list(json_spans.members(record, 0)) if record[:1] == b"{" else []
    except NotJson:
        members = []
    if _is_of(record, members, sought):
        new = _emptied_members(record, members)
        return _gone(owner) if sought.has_values_in(_own(new)) else new
    if sought.owner is not None:
        return record
    if owner is None:
        doubt = record != NULL and sought.is_told_in(record)
    else:
        others = [record[m.begin : m.end] for m in members if m.name not in KEPT]
        doubt = any(_may_hold(value, sought.number_id) and sought.is_named_in(value) for value in others)
    return _gone(owner) if doubt else record


def _gone(owner: int | None) -> bytes:
    """What stands for a record: its id stays, so that it stays proved."""
    return STAND_IN if owner is None else b'{"erased":true,"id":%d}' % owner


def is_gone(record: bytes) -> bool:
    """Whether a record stands for one that was replaced as a whole."""
    return record == _gone(id_of(record))


def _emptied_members(record: bytes, members: Iterable[Member]) -> bytes:
    out, at = [], 0
    for member in members:
        value = record[member.begin : member.end]
        if member.name not in KEPT and value not in _EMPTY:
            out += [record[at : member.begin], _stand_in(member.name, value)]
            at = member.end
    return b"".join((*out, record[at:]))


def _own(record: bytes) -> bytes:
    """What a record says of its number alone: its names, and values that are neither its id nor of others."""
    out, at = [], 0
    for member in json_spans.members(record, 0):
        if member.name in _OF_OTHERS:
            out.append(record[at : member.begin])
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


# -- whose a record is


def is_of(record: bytes, sought: Sought) -> bool:
    """Whether an `id` of the record is the number's, as a number or as text in any spelling."""
    try:
        return record[:1] == b"{" and _is_of(record, list(json_spans.members(record, 0)), sought)
    except NotJson:
        return False


def _is_of(record: bytes, members: Sequence[Member], sought: Sought) -> bool:
    named = any(sought.equals(record[m.begin : m.end]) for m in members if m.name == "id")
    owners = [record[m.begin : m.end] for m in members if m.name == "child_customer_id"]
    return named and (sought.owner is None or b"%d" % sought.owner in owners)


def learn(body: bytes, sought: Sought) -> bool:
    """Whether the answer has something of the number, with personal content or without; its values are learnt."""
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
    """Whether the id can stand in the text: its digits, an escape of JSON, a URL or HTML, an exponent."""
    if b"%d" % number_id in text or any(escape in text for escape in (b"\\u003", b"%3", b"&#")):
        return True
    return _EXPONENT.search(text) is not None


# -- what is around the records, and answers that have none


def _tells(rest: bytes, sought: Sought) -> bool:
    """Whether what is around the records tells of the number; counters and the request's id do not."""
    if sought.owner is not None:
        return False
    if len(rest) > LARGEST_SEARCHED:
        return True
    values = _NAME.sub(b"", rest)
    return sought.has_values_in(values) or sought.is_told_in(_NAME.sub(b"", _uncounted(rest)))


def _is_in_doubt(body: bytes, sought: Sought) -> bool:
    """Whether an answer that has no records may tell of the number."""
    if body == STAND_IN or sought.owner is not None:
        return False
    return len(body) > LARGEST_SEARCHED or is_unreadable(body) or _tells(body, sought)


def _uncounted(text: bytes) -> bytes:
    """Answer without the numbers that its envelope has to have; all of it where it has another form."""
    out, at = [], 0
    try:
        for begin, end in list(_counters(text)):
            out.append(text[at:begin])
            at = end
    except NotJson:
        return text
    return b"".join((*out, text[at:]))


def _counters(text: bytes) -> Iterator[Span]:
    """Places of the version, the request's id, an error's code, and bare numbers of the metadata. Raises `NotJson`."""
    top = list(_members(text, json_spans.skip_space(text, 0)))
    if not {member.name for member in top} <= _ENVELOPE:
        return
    for member in top:
        token = text[member.begin : member.end]
        if (member.name == "id" and _BARE_NUMBER.fullmatch(token)) or token == _VERSION:
            yield Span(member.begin, member.end)
        for inner in _members(text, member.begin):
            if (member.name, inner.name) == ("error", "code"):
                yield from _bare(text, [inner])
            elif (member.name, inner.name) == ("result", "metadata"):
                for told in _members(text, inner.begin):
                    yield from _bare(text, _members(text, told.begin) if told.name == "limits" else [told])


def _bare(text: bytes, members: Iterable[Member]) -> Iterator[Span]:
    for member in members:
        if member.name != "id" and _BARE_NUMBER.fullmatch(text, member.begin, member.end):
            yield Span(member.begin, member.end)


def _members(text: bytes, begin: int) -> Iterator[Member]:
    return json_spans.members(text, begin) if text[begin : begin + 1] == b"{" else iter(())
