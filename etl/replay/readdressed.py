"""Archived answers with the id of the new request; every other byte stays as received, except `limits`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from etl.archive.pieces import array_span, cut
from etl.domain import json_spans
from etl.domain.json_spans import NotJson, members_if_object

_NO_RECORDS = b"[]"
Edit = tuple[int, int, bytes]
"""Begin and end of a value, and its replacement."""


def readdressed(body: bytes, archived_id: int, request_id: int) -> list[bytes | memoryview]:
    """Answer in parts: with `request_id` if it had the id of its own request, and with null for its `limits`.

    An answer to another request stays one: its id never becomes `request_id`. An answer that is not JSON does not
    change.
    """
    span = array_span(body)
    if span is None:
        return [_edited(body, _edits(body, archived_id, request_id))]
    begin, end = span
    envelope = body[:begin] + _NO_RECORDS + body[end:]
    edits = _edits(envelope, archived_id, request_id)
    tail = begin + len(_NO_RECORDS)
    before = _edited(envelope[:begin], [edit for edit in edits if edit[1] <= begin])
    after = _edited(envelope[tail:], [(a - tail, b - tail, new) for a, b, new in edits if a >= tail])
    return [before, memoryview(body)[begin:end], after]


def _edited(text: bytes, edits: list[Edit]) -> bytes:
    out, at = [], 0
    for begin, end, new in edits:
        out += [text[at:begin], new]
        at = end
    return b"".join((*out, text[at:])) if edits else text


def _edits(text: bytes, archived_id: int, request_id: int) -> list[Edit]:
    try:
        return list(_found(text, archived_id, request_id))
    except NotJson:
        return []


def _found(text: bytes, archived_id: int, request_id: int) -> Iterator[Edit]:
    top = json_spans.skip_space(text, 0)
    for name, begin, end in members_if_object(text, top):
        if name == "id":
            value = _number(text[begin:end])
            if value == archived_id:
                yield begin, end, b"%d" % request_id
            elif value == request_id:
                yield begin, end, b"null"
        elif name == "result":
            yield from ((a, b, b"null") for a, b in _limits(text, begin))


def _limits(text: bytes, result: int) -> Iterator[tuple[int, int]]:
    """Spans of the points in the answer's metadata, which must not slow down a replay."""
    for metadata in members_if_object(text, result):
        if metadata.name == "metadata":
            yield from ((m.begin, m.end) for m in members_if_object(text, metadata.begin) if m.name == "limits")


def _number(token: bytes) -> object:
    try:
        value = msgspec.json.decode(token)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def rows(body: bytes) -> dict[int, msgspec.Raw]:
    """Records of an answer by id, as received; empty if it has no records."""
    pieces = cut(body)
    found = () if pieces is None else zip(pieces.ids(), pieces.records, strict=True)
    return {number_id: msgspec.Raw(record) for number_id, record in found if number_id is not None}
