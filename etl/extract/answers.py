"""JSON-RPC answers of the Data API, decoded as little as needed."""

from __future__ import annotations

import hashlib
import re
from typing import Any, ClassVar

import msgspec

from etl.domain.fingerprints import DIGEST
from etl.domain.text import MARK, storable
from etl.errors import BrokenAnswer, SourceUnusable, Transient
from etl.extract.api_errors import UNNAMED, Call, ErrorBody, error_of
from etl.extract.redaction import NOTHING_SECRET, Redaction


class Result(msgspec.Struct, gc=False):
    """A successful answer: the records, undecoded, and the metadata as sent."""

    storable: ClassVar[bool] = False
    """Whether databases can hold the records as they are here; else that is still to be made of them."""
    data: msgspec.Raw = msgspec.Raw(b"null")
    metadata: Any = None
    digest: bytes = msgspec.field(default=b"", name=f"{MARK}digest")
    """`digest_of(data)` where it was worked out, else empty: set by `decode`, whatever an answer says."""


class StorableResult(Result, gc=False):
    """A successful answer of which all was made storable at once."""

    storable: ClassVar[bool] = True


class Envelope(msgspec.Struct, gc=False):
    """A whole answer; `id` is compared with the request's before anything else is believed."""

    id: Any = None
    result: Result | msgspec.UnsetType | None = msgspec.UNSET
    error: ErrorBody | None = None


class StorableEnvelope(Envelope, gc=False):
    """A whole answer that was made storable."""

    result: StorableResult | msgspec.UnsetType | None = msgspec.UNSET


_as_sent = msgspec.json.Decoder(Envelope)
_made_storable = msgspec.json.Decoder(StorableEnvelope)
_plain = msgspec.json.Decoder(dict[str, Any])

LOGIN_METHODS = frozenset({"login.user", "logout.user"})


def digest_of(data: bytes | memoryview | msgspec.Raw) -> bytes:
    """A digest that nobody can aim at: whoever writes a number's comment could else hide a change behind it."""
    return hashlib.sha256(data).digest()[:DIGEST]


def decode(
    body: bytes, request_id: int, redaction: Redaction = NOTHING_SECRET, known: bytes = b"", call: Call = UNNAMED
) -> Result:
    """The result of an answer to `request_id`; records with the digest `known` were read before, and are passed over.

    Raises what the answer's error asks for (`error_of`), `NotOurs` when it is to another request, `Transient` when it
    is no whole JSON, `BrokenAnswer` or `SourceUnusable` when it is JSON but no answer of this API. `call`: for errors.
    """
    array = _array(body) if known else memoryview(b"")
    digest = digest_of(array) if known else b""
    passed_over = _around(body, array) if known and digest == known else None
    envelope = passed_over or _envelope(body, redaction)
    answered = envelope.result is not None and envelope.result is not msgspec.UNSET
    if envelope.error is not None and not answered:
        if envelope.id is not None and not _same(envelope.id, request_id):
            raise NotOurs
        raise error_of(envelope.error, redaction, call)
    if not _same(envelope.id, request_id):
        raise NotOurs
    if envelope.error is not None:
        raise BrokenAnswer("the answer has both a result and an error")
    if not isinstance(envelope.result, Result):
        raise BrokenAnswer("the answer has neither a result nor an error")
    plain = known and not envelope.result.storable
    same = passed_over or (plain and envelope.result.data == msgspec.Raw(array))
    envelope.result.digest = digest if same else b""
    return envelope.result


_RECORDS = re.compile(rb'"data": ?(?=\[)')
_NO_RECORDS = b"[]"
_HEAD = 4096
"""Bytes in which records begin."""


def _array(body: bytes) -> memoryview:
    """What seems to be the array of records in an answer, empty if nothing does; reading the answer tells if it is."""
    begin, end = _RECORDS.search(body, 0, _HEAD), body.rfind(b"]") + 1
    return memoryview(body)[begin.end() if begin else end : end]


def _around(body: bytes, array: memoryview) -> Envelope | None:
    """The answer, if its records are this array, which was read before; None: all of it has to be read.

    Such an array is JSON, so what is around it, with an empty one in its place, tells whether all of it is.
    """
    end = body.rfind(b"]") + 1
    envelope = _plain_envelope(body[: end - len(array)] + _NO_RECORDS + body[end:])
    if envelope is None or not isinstance(envelope.result, Result) or bytes(envelope.result.data) != _NO_RECORDS:
        return None
    envelope.result.data = msgspec.Raw(array)
    return envelope


class NotOurs(Transient):
    """The answer belongs to another request."""


def _same(answer_id: object, request_id: int) -> bool:
    return answer_id == request_id and not isinstance(answer_id, bool)


def _envelope(body: bytes, redaction: Redaction) -> Envelope:
    """The answer; what is no record in it is `storable`. Records, the most of it, wait until somebody needs them."""
    try:
        return _plain_envelope(body) or _made_storable.decode(storable(body))
    except msgspec.ValidationError as exc:
        raise SourceUnusable(f"the answer is not one of the Data API ({redaction.quote(exc)})") from exc
    except RecursionError as exc:
        raise SourceUnusable("the answer is nested too deeply") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        if _came_whole(body) and isinstance(exc, msgspec.DecodeError) and "truncated" not in str(exc):
            raise SourceUnusable(f"the answer holds what is no JSON ({exc})") from exc
        remedy = "Check that the URL is the Data API's"
        raise Transient(f"the answer is not JSON: {_excerpt(body, redaction)}", remedy=remedy) from exc


def _plain_envelope(body: bytes) -> Envelope | None:
    """The answer where nothing but records may hold what databases do not; else None."""
    try:
        envelope = _as_sent.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return envelope if envelope.error is None else None


def _came_whole(body: bytes) -> bool:
    """Whether this is an object from its first to its last character, so that asking again will not mend it."""
    return body[:1] == b"{" and body[-4:].rstrip()[-1:] == b"}"


def decode_login(body: bytes, request_id: int, redaction: Redaction = NOTHING_SECRET) -> str:
    """The session key in the answer to `login.user`."""
    decode(body, request_id, redaction)
    try:
        result = _plain.decode(body)["result"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise SourceUnusable("login.user answered what cannot be read") from exc
    data = result.get("data", result)
    token = data.get("access_token") if isinstance(data, dict) else None
    if not isinstance(token, str) or not token:
        raise SourceUnusable("login.user answered without an access_token")
    return token


EXCERPT = 80


def _excerpt(body: bytes, redaction: Redaction) -> str:
    beginning = redaction.hidden(body[:_MOST_HIDDEN].decode("utf-8", "replace"))
    return repr(beginning[:EXCERPT]) if body else "it is empty"


_MOST_HIDDEN = 8192
"""How far into a body secrets are looked for before its beginning is shown; far more than what is shown."""
