"""JSON-RPC answers of the Data API, decoded as little as needed."""

from __future__ import annotations

import hashlib
import re
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from etl.domain.bounds import MOST_OF_ANSWER, UNCOUNTED, has_more_values
from etl.domain.fingerprints import DIGEST
from etl.domain.repeats import repeated_name
from etl.domain.text import storable
from etl.errors import BrokenAnswer, SourceUnusable, Transient, VnsyncError
from etl.extract.api_errors import UNNAMED, Call, ErrorBody, error_of
from etl.extract.envelope import STAND_IN, records_in, refuse_repeats, replaced, without_records
from etl.extract.redaction import NOTHING_SECRET, Redaction

T = TypeVar("T")


class Result(Struct):
    """Successful answer: the records, undecoded, and the metadata as sent.

    `storable`: whether the records here are already in the form that databases can hold (`text.storable`).
    `digest`: `digest_of(data)` if it was computed, else empty.
    """

    data: msgspec.Raw
    metadata: Any = None
    storable: bool = False
    digest: bytes = b""


class Envelope(Struct, frozen=True):
    """Whole answer. Its `id` is compared with the request's before anything else of it is used."""

    id: Any
    result: Result | None
    error: ErrorBody | None


class _ResultOutline(msgspec.Struct, gc=False):
    data: msgspec.Raw = msgspec.Raw(b"null")
    metadata: msgspec.Raw = msgspec.Raw(b"null")


class _Outline(msgspec.Struct, gc=False):
    """Parts of an answer, undecoded. None is decoded before it is known to be small."""

    id: msgspec.Raw = msgspec.Raw(b"null")
    result: _ResultOutline | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_outline = msgspec.json.Decoder(_Outline)
_error: msgspec.json.Decoder[ErrorBody | None] = msgspec.json.Decoder(ErrorBody | None)
_any = msgspec.json.Decoder(Any)
_plain = msgspec.json.Decoder(dict[str, Any])

LARGEST_AT_ONCE = 16 * 2**20
"""Most bytes that are decoded at once: the text around a listing's records, or a whole answer of another method."""


def digest_of(data: bytes | memoryview | msgspec.Raw) -> bytes:
    """Cryptographic digest: with a weaker one, the author of a number's comment could hide a change of the record."""
    return hashlib.sha256(data).digest()[:DIGEST]


def decode(
    body: bytes,
    request_id: int,
    redaction: Redaction = NOTHING_SECRET,
    known: bytes = b"",
    call: Call = UNNAMED,
    *,
    rows_later: bool = True,
) -> Result:
    """Result of the answer to `request_id`. Records with the digest `known` were read before and are not decoded.

    `rows_later`: repeated names in the rows are looked for when each row is read; else here, as in the rest. Raises the
    error that the answer reports (`error_of`), `NotOurs` if it answers another request, `Transient` if it is not whole
    JSON, `BrokenAnswer` if an object has a name twice, or if it has neither a result nor an error, or both,
    `SourceUnusable` if it is JSON but no answer of this API. `call`: the method call, for error texts.
    """
    array = records_in(body) if known else memoryview(b"")
    digest = digest_of(array) if known else b""
    known_answer = _around(body, array) if known and digest == known else None
    envelope = known_answer or _envelope(body, redaction, rows_later=rows_later)
    if envelope.error is not None and envelope.result is None:
        if envelope.id is not None and not _same(envelope.id, request_id):
            raise NotOurs
        raise error_of(envelope.error, redaction, call)
    if not _same(envelope.id, request_id):
        raise NotOurs
    if envelope.error is not None:
        raise BrokenAnswer("the answer has both a result and an error")
    if envelope.result is None:
        raise BrokenAnswer("the answer has neither a result nor an error")
    plain = known and not envelope.result.storable
    same = known_answer or (plain and envelope.result.data == msgspec.Raw(array))
    envelope.result.digest = digest if same else b""
    return envelope.result


def _around(body: bytes, array: memoryview) -> Envelope | None:
    """The answer, if its records are this array, which was read before; None: all of it has to be decoded.

    Such an array is valid JSON, so the answer is valid if the text around it is, with another array in its place.
    """
    end = body.rfind(b"]") + 1
    around = replaced(body, end - len(array), end)
    _refuse_large(around)
    try:
        envelope = _parts(_outline.decode(around))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if envelope.error is not None or envelope.result is None or bytes(envelope.result.data) != STAND_IN:
        return None
    if around.count(STAND_IN) > 1 or repeated_name(around) is not None:
        return None
    envelope.result.data = msgspec.Raw(array)
    return envelope


class NotOurs(Transient):
    """The answer belongs to another request."""


def _same(answer_id: object, request_id: int) -> bool:
    return answer_id == request_id and not isinstance(answer_id, bool)


def _envelope(body: bytes, redaction: Redaction, *, rows_later: bool) -> Envelope:
    """The answer; no object outside its records has a name twice.

    The records, its largest part, are decoded later.
    """
    if len(body) > UNCOUNTED and has_more_values(body, MOST_OF_ANSWER):
        raise SourceUnusable(_TOO_MANY)
    try:
        outline, sent = _outlined(body)
        records = outline.result.data if rows_later and outline.result else msgspec.Raw(b"")
        around = without_records(sent, records)
        _refuse_large(around)
        envelope = _parts(outline, storable_records=sent is not body)
    except msgspec.ValidationError as exc:
        raise SourceUnusable(f"the answer is not one of the Data API ({redaction.quote(exc)})") from exc
    except RecursionError as exc:
        raise SourceUnusable("the answer is nested too deeply") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _no_json(body, exc, redaction) from exc
    refuse_repeats(around, redaction)
    return envelope


_TOO_MANY = f"the answer holds more than {MOST_OF_ANSWER} values"


def _refuse_large(around: bytes) -> None:
    """Refuse a text that would take much memory to decode at once."""
    if len(around) > LARGEST_AT_ONCE:
        raise SourceUnusable(f"the answer has more than {LARGEST_AT_ONCE // 2**20} MiB besides its records")
    if has_more_values(around, MOST_OF_ANSWER):
        raise SourceUnusable(_TOO_MANY)


def _outlined(body: bytes) -> tuple[_Outline, bytes]:
    """The outline of the answer, and the JSON from which it was decoded: as sent, or as databases can hold it."""
    try:
        return _outline.decode(body), body
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        made = storable(body)
        if made is body:
            raise
        return _outline.decode(made), made


def _parts(outline: _Outline, *, storable_records: bool = False) -> Envelope:
    """The answer of an outline, with its parts as databases can hold them."""
    result = outline.result
    return Envelope(
        id=_stored(outline.id, _any),
        result=None if result is None else Result(result.data, _stored(result.metadata, _any), storable_records),
        error=_stored(outline.error, _error),
    )


def _stored(part: msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    return decoder.decode(storable(bytes(part)))


def _no_json(body: bytes, exc: Exception, redaction: Redaction) -> VnsyncError:
    """The error for an answer that cannot be decoded: a transient one if the answer looks cut off."""
    if _came_whole(body) and isinstance(exc, msgspec.DecodeError) and "truncated" not in str(exc):
        return SourceUnusable(f"the answer is not JSON ({exc})")
    remedy = "Check that the URL is the Data API's"
    return Transient(f"the answer is not JSON: {_excerpt(body, redaction)}", remedy=remedy)


def _came_whole(body: bytes) -> bool:
    """Whether this is an object from its first to its last character, so that another try will not help."""
    return body[:1] == b"{" and body[-4:].rstrip()[-1:] == b"}"


def decode_login(body: bytes, request_id: int, redaction: Redaction = NOTHING_SECRET) -> str:
    """The session key in the answer to `login.user`."""
    decode(body, request_id, redaction, rows_later=False)
    try:
        result = _plain.decode(body)["result"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise SourceUnusable("the answer of login.user cannot be read") from exc
    data = result.get("data", result)
    token = data.get("access_token") if isinstance(data, dict) else None
    if not isinstance(token, str) or not token:
        raise SourceUnusable("login.user answered without an access_token")
    return token


EXCERPT = 80
_CONTENT = re.compile(r"[{\[\0]")
"""Start of a possible record, which is left out: an error text stays in the warehouse after an erasure."""
_LONG_NUMBER = re.compile(r"[0-9]{5,}")


def _excerpt(body: bytes, redaction: Redaction) -> str:
    """Beginning of a body that is not JSON, without long numbers and without a possible record."""
    beginning = redaction.hidden(body[:_MOST_HIDDEN].decode("utf-8", "replace"))
    text = _LONG_NUMBER.sub("…", _CONTENT.split(beginning, maxsplit=1)[0])[:EXCERPT]
    if body and not text.strip():
        return f"{len(body)} bytes"
    return repr(text) if body else "it is empty"


_MOST_HIDDEN = 8192
"""Bytes of a body that are searched for secrets before its beginning is shown; far more than is shown."""
