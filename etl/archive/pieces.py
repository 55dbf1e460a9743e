"""Pieces of a listing answer: its records and the rest, each with a digest of its own.

A manifest keeps one digest over the digests of the pieces. After personal content is erased from a record, that digest
still proves all other records and the rest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Struct

from etl.domain import json_spans
from etl.domain.json_spans import NotJson, Span, members_if_object
from etl.domain.text import storable

LISTING = "get.virtual_numbers"
MOST_COMMAS = 1_000_000
"""Maximum number of commas of an answer that is cut, to limit memory. A page of 10 000 records has about 300 000."""
LARGEST_CUT = 32 * 2**20
"""Maximum size in bytes of an answer that is cut. Such a page has about 6 million."""
LARGEST_ENVELOPE = 65_536
LARGEST_SCANNED = 16 * 2**20
"""Maximum size in bytes of an answer that is not plain JSON and is scanned bracket by bracket."""
_HEAD = 4096
_ARRAY = re.compile(rb'"data"[ \t\n\r]*+:[ \t\n\r]*+(?=\[)')
_NO_RECORDS = b"[]"
_WHOLE_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]{0,18})")
_LEAST, _MOST = -(2**63), 2**63 - 1
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _WithId(msgspec.Struct, gc=False):
    id: Annotated[int, msgspec.Meta(ge=_LEAST, le=_MOST)]


_split = msgspec.json.Decoder(list[msgspec.Raw])
_ids = msgspec.json.Decoder(list[_WithId])


class Pieces(Struct, frozen=True):
    """Answer, cut into its records (the elements of the array `data` of `result`) and the rest around them."""

    body: bytes
    array: Span
    records: Sequence[bytes]
    """Bytes of each record, without the white space around it."""

    def spans(self) -> Iterator[Span]:
        """Spans of the records. Only a comma and white space are between two, so each search ends at once."""
        at = self.array.begin + 1
        for record in self.records:
            begin = self.body.index(record, at)
            at = begin + len(record)
            yield Span(begin, at)

    def rest(self) -> bytes:
        """Bytes of the answer with its records cut out."""
        begin, end = self.array
        commas = max(0, len(self.records) - 1)
        if sum(map(len, self.records)) + commas + 2 == end - begin:  # no white space in the array, which is usual
            return self.body[: begin + 1] + b"," * commas + self.body[end - 1 :]
        spans = list(self.spans())
        ends, begins = [0, *(span.end for span in spans)], [*(span.begin for span in spans), len(self.body)]
        return b"".join(self.body[a:b] for a, b in zip(ends, begins, strict=True))

    def ids(self) -> list[int | None]:
        """Each record's `id`, the last member of that name; None if it is not a whole number of 64 bits."""
        try:
            return [record.id for record in _ids.decode(memoryview(self.body)[slice(*self.array)])]
        except _UNREADABLE:
            return [id_of(record) for record in self.records]

    def digest(self, former: Mapping[int, str] | None = None, rest: str | None = None) -> str:
        """Digest over the pieces, in hex; `former`: original digests of erased records, by index.

        `rest`: original digest of the rest, if the rest was replaced.
        """
        sha256 = hashlib.sha256
        leaves = [sha256(record).digest() for record in self.records]
        for index, digest in (former or {}).items():
            leaves[index] = bytes.fromhex(digest)
        ids = ",".join(["null" if i is None else str(i) for i in self.ids()]).encode()
        around = sha256(self.rest()).digest() if rest is None else bytes.fromhex(rest)
        return sha256(b"".join((around, sha256(ids).digest(), *leaves))).hexdigest()


def id_of(record: bytes) -> int | None:
    """Id of one record, by the rules of `Pieces.ids`."""
    found = None
    try:
        for member in members_if_object(record, 0):
            if member.name == "id":
                token = record[member.begin : member.end]
                number = int(token) if _WHOLE_NUMBER.fullmatch(token) else None
                found = number if number is not None and _LEAST <= number <= _MOST else None
    except NotJson:
        return None
    return found


def cut(body: bytes) -> Pieces | None:
    """Cut an answer; None if it has no records, has `result` or `data` twice, or exceeds a limit of this module."""
    if len(body) > LARGEST_CUT or body.count(b",") > MOST_COMMAS:
        return None
    try:
        return _plain(body) or _scanned(body)
    except NotJson:
        return None


def record_spans(body: bytes) -> Iterator[Span]:
    """Spans of the records of an answer of any size, in order. Raises `NotJson` when it has no records."""
    begin = _array_begin(body)
    if begin is None:
        raise NotJson("no records")
    return json_spans.elements(body, begin)


def array_span(body: bytes) -> Span | None:
    """Span of the array of records of an answer with a small envelope; None if the whole answer must be scanned."""
    span = _candidate(body)
    if span is None:
        return None
    if body.count(b",") <= MOST_COMMAS:
        return span if _is_array(memoryview(body)[slice(*span)]) else None
    try:
        return span if json_spans.value_end(body, span.begin) == span.end else None
    except NotJson:
        return None


def answer_id(body: bytes) -> int | None:
    """Id of the request that an answer names; None if it does not name a whole number."""
    span = array_span(body)
    envelope = body if span is None else body[: span.begin] + _NO_RECORDS + body[span.end :]
    top = json_spans.skip_space(envelope, 0)
    return id_of(envelope[top:])


def _plain(body: bytes) -> Pieces | None:
    """Cut quickly: a decoder splits the array, and only the bytes around it are scanned."""
    span = _candidate(body)
    records = None if span is None else _split_array(body, span)
    return None if span is None or records is None else Pieces(body, span, records)


def _candidate(body: bytes) -> Span | None:
    """Span that holds the array of records, if it is an array; the content is not checked."""
    found, end = _ARRAY.search(body, 0, _HEAD), body.rfind(b"]") + 1
    if found is None or end <= found.end():
        return None
    begin = found.end()
    envelope = body[:begin] + _NO_RECORDS + body[end : end + LARGEST_ENVELOPE + 1]
    return Span(begin, end) if len(envelope) <= LARGEST_ENVELOPE and _array_begin(envelope) == begin else None


def _split_array(body: bytes, span: Span) -> list[bytes] | None:
    """Records in the span of the presumed array; None if it is not an array."""
    array = memoryview(body)[slice(*span)]
    if (raws := _raws(array)) is not None:
        return list(map(bytes, raws))
    if not _is_array(array):
        return None
    return [body[slice(*found)] for found in json_spans.elements(body, span.begin)]


def _raws(array: memoryview) -> list[msgspec.Raw] | None:
    try:
        return _split.decode(array)
    except _UNREADABLE:
        return None


def _is_array(array: memoryview) -> bool:
    """Whether the bytes are an array, apart from lone surrogates, which the decoder refuses."""
    return _raws(array) is not None or _raws(memoryview(storable(bytes(array)))) is not None


def _scanned(body: bytes) -> Pieces | None:
    """Cut by scanning the whole answer. Raises `NotJson` for an array with an empty element."""
    if len(body) > LARGEST_SCANNED:
        return None
    begin = _array_begin(body)
    if begin is None:
        return None
    records = [body[slice(*span)] for span in json_spans.elements(body, begin)]
    return Pieces(body, Span(begin, json_spans.value_end(body, begin)), records)


def _array_begin(text: bytes) -> int | None:
    """Start of the array `data` in the object `result` of an answer; None if either is missing or occurs twice."""
    try:
        top = json_spans.skip_space(text, 0)
        result = _only(text, top, "result") if text[top : top + 1] == b"{" else None
        if result is None or json_spans.skip_space(text, json_spans.value_end(text, top)) != len(text):
            return None
        data = _only(text, result, "data") if text[result : result + 1] == b"{" else None
        return data if data is not None and text[data : data + 1] == b"[" else None
    except NotJson:
        return None


def _only(text: bytes, begin: int, name: str) -> int | None:
    found = [member.begin for member in json_spans.members(text, begin) if member.name == name]
    return found[0] if len(found) == 1 else None
