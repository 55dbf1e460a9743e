"""Envelope of an answer: everything around the array of records. No object in it may have a name twice."""

from __future__ import annotations

import re

import msgspec

from etl.domain.repeats import repeated_name
from etl.errors import BrokenAnswer, SourceUnusable
from etl.extract.redaction import Redaction

STAND_IN = b"[9218868437227405312]"
"""Array that takes the place of the records, so that the rest of an answer is read without them."""
_RECORDS = re.compile(rb'"data"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_HEAD = 4096
"""Bytes in which records begin."""


def records_in(body: bytes) -> memoryview:
    """Bytes that look like the array of records; empty where none do. Only a decoder can tell whether they are."""
    begin, end = _RECORDS.search(body, 0, _HEAD), body.rfind(b"]") + 1
    return memoryview(body)[begin.end() if begin else end : end]


def replaced(body: bytes, begin: int, end: int) -> bytes:
    """Answer with `STAND_IN` in the place of its records."""
    return body[:begin] + STAND_IN + body[end:]


def without_records(body: bytes, records: msgspec.Raw) -> bytes:
    """Answer with `STAND_IN` in the place of `records`, the value that was decoded of `body`; all of it for no array.

    Where the same bytes stand twice, it does not matter which of them remain: their names are looked at once.
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
    """Raise `BrokenAnswer` where an object has a name twice: a decoder would hide the first value behind the last."""
    try:
        name = repeated_name(envelope)
    except RecursionError as exc:
        raise SourceUnusable("the answer is nested too deeply") from exc
    except ValueError as exc:
        raise SourceUnusable("the answer holds what is no JSON") from exc
    if name is not None:
        raise BrokenAnswer(f"the answer has the name {redaction.quote(name, 40)!r} twice in one object")
