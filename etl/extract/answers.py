"""JSON-RPC answers of the Data API, decoded as little as needed."""

from __future__ import annotations

import hashlib
import re
from typing import Any, ClassVar

import msgspec

from etl.domain.fingerprints import DIGEST
from etl.domain.repeats import repeated_name
from etl.domain.text import MARK, storable
from etl.errors import BrokenAnswer, SourceUnusable, Transient
from etl.extract.api_errors import UNNAMED, Call, ErrorBody, error_of
from etl.extract.envelope import STAND_IN, records_in, refuse_repeats, replaced, without_records
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
    body: bytes,
    request_id: int,
    redaction: Redaction = NOTHING_SECRET,
    known: bytes = b"",
    call: Call = UNNAMED,
    *,
    rows_later: bool = True,
) -> Result:
    """The result of an answer to `request_id`; records with the digest `known` were read before, and are passed over.

    `rows_later`: names that come twice in the rows are looked for when each row is read; else here, as in the rest.
    Raises what the answer's error asks for (`error_of`), `NotOurs` when it is to another request, `Transient` when it
    is no whole JSON, `BrokenAnswer` when a name comes twice in one object of it, or when it has neither a result nor an
    error, or both, `SourceUnusable` when it is JSON but no answer of this API. `call`: for errors.
    """
    array = records_in(body) if known else memoryview(b"")
    digest = digest_of(array) if known else b""
    passed_over = _around(body, array) if known and digest == known else None
    envelope = passed_over or _envelope(body, redaction, rows_later=rows_later)
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


def _around(body: bytes, array: memoryview) -> Envelope | None:
    """The answer, if its records are this array, which was read before; None: all of it has to be read.

    Such an array is JSON, so what is around it, with another one in its place, tells whether all of it is.
    """
    end = body.rfind(b"]") + 1
    around = replaced(body, end - len(array), end)
    envelope = _plain_envelope(around)
    if envelope is None or not isinstance(envelope.result, Result) or bytes(envelope.result.data) != STAND_IN:
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
    """The answer, of which no object outside the records has a name twice; what is no record in it is `storable`.

    Records, the most of it, wait until somebody needs them.
    """
    envelope, sent = _read(body, redaction)
    records = envelope.result.data if rows_later and isinstance(envelope.result, Result) else msgspec.Raw(b"")
    refuse_repeats(without_records(sent, records), redaction)
    return envelope


def _read(body: bytes, redaction: Redaction) -> tuple[Envelope, bytes]:
    """The answer, and the JSON that was read for it."""
    try:
        envelope = _plain_envelope(body)
        if envelope is not None:
            return envelope, body
        made = storable(body)
        return _made_storable.decode(made), made
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
    decode(body, request_id, redaction, rows_later=False)
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
_CONTENT = re.compile(r"[{\[\0]")
"""Begins what may be a record: errors are kept where no erasure reaches them."""
_LONG_NUMBER = re.compile(r"[0-9]{5,}")


def _excerpt(body: bytes, redaction: Redaction) -> str:
    """Beginning of what is no JSON, without long numbers, and without what may be a record."""
    beginning = redaction.hidden(body[:_MOST_HIDDEN].decode("utf-8", "replace"))
    text = _LONG_NUMBER.sub("…", _CONTENT.split(beginning, maxsplit=1)[0])[:EXCERPT]
    if body and not text.strip():
        return f"{len(body)} bytes"
    return repr(text) if body else "it is empty"


_MOST_HIDDEN = 8192
"""How far into a body secrets are looked for before its beginning is shown; far more than what is shown."""
