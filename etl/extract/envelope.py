"""Envelope of an answer: everything around the array of records. No object in it may have a name twice."""

from __future__ import annotations

import re

import msgspec

from etl.domain.repeats import repeated_name
from etl.domain.spellings import Part
from etl.domain.text import storable
from etl.errors import BrokenAnswer, SourceUnusable
from etl.extract.redaction import NO_RECORDS, Redaction

STAND_IN = b"[9218868437227405312]"
"""Array that takes the place of the records, so that the rest of an answer can be decoded without them."""
_RECORDS = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_HEAD = 4096
"""Bytes of an answer's beginning in which its array of records must start."""


class _Records(msgspec.Struct, gc=False):
    data: msgspec.Raw


class _Answer(msgspec.Struct, gc=False):
    result: _Records


_answer = msgspec.json.Decoder(_Answer)
_array = msgspec.json.Decoder(list[msgspec.Raw])


def records_place(body: bytes) -> Part:
    """Place of the array of records in an answer; `NO_RECORDS` if it is not a whole answer with such an array."""
    array = records_in(body)
    end = body.rfind(b"]") + 1
    begin = end - array.nbytes
    around = replaced(body, begin, end)
    try:
        found = bytes(_answer.decode(around).result.data) == STAND_IN and around.count(STAND_IN) == 1
        if found:
            _array.decode(storable(bytes(array)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return NO_RECORDS
    return Part(begin, end) if found else NO_RECORDS


def records_in(body: bytes) -> memoryview:
    """Bytes that look like the array of records; empty if there are none. Only a decoder can confirm them."""
    begin, end = _RECORDS.search(body, 0, _HEAD), body.rfind(b"]") + 1
    return memoryview(body)[begin.end() if begin else end : end]


def replaced(body: bytes, begin: int, end: int) -> bytes:
    """Answer with `STAND_IN` in the place of its records."""
    return body[:begin] + STAND_IN + body[end:]


def without_records(body: bytes, records: msgspec.Raw) -> bytes:
    """Answer with `STAND_IN` in the place of `records`, which was decoded from `body`; unchanged if it is no array.

    If the same bytes occur twice, either copy may be replaced: the other one is left, and its names are checked.
    """
    view = memoryview(records)
    if bytes(view[:1]) != b"[":
        return body
    found = _RECORDS.search(body, 0, _HEAD)
    begin = found.end() if found else 0
    if msgspec.Raw(memoryview(body)[begin : begin + view.nbytes]) != records:
        begin = body.find(bytes(view))
    return replaced(body, begin, begin + view.nbytes)


def refuse_repeats(envelope: bytes, redaction: Redaction) -> None:
    """Raise `BrokenAnswer` if an object has a name twice: a decoder would keep the last value and drop the first."""
    try:
        name = repeated_name(envelope)
    except RecursionError as exc:
        raise SourceUnusable("the answer is nested too deeply") from exc
    except ValueError as exc:
        raise SourceUnusable("the answer is not JSON") from exc
    if name is not None:
        raise BrokenAnswer(f"the answer has the name {redaction.quote(name, 40)!r} twice in one object")
