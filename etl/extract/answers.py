"""JSON-RPC answers of the Data API: decoded as little as needed, and each error turned into what to do about it."""

from __future__ import annotations

import hashlib
import re
from typing import Any, ClassVar

import msgspec

from etl.domain.fingerprints import DIGEST
from etl.domain.text import MARK, storable
from etl.errors import (
    AccountRefused,
    DayLimit,
    FilterRefused,
    MethodUnknown,
    NotAllowed,
    SessionExpired,
    SourceUnusable,
    Transient,
    TryLater,
    VnsyncError,
)
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


class ErrorBody(msgspec.Struct, gc=False):
    """An error as the API words it; every part may be missing in the field."""

    code: Any = None
    message: Any = None
    data: Any = None

    @property
    def details(self) -> dict[str, Any]:
        """The error's `data` object, empty when it has none."""
        return self.data if isinstance(self.data, dict) else {}

    @property
    def mnemonic(self) -> str:
        """What the API's documentation names the error; empty when it does not say."""
        return str(self.details.get("mnemonic") or "")


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
_SESSION = frozenset({"access_token_expired", "access_token_invalid", "access_token_blocked", "auth_error"})
_REFUSED = frozenset(
    {"forbidden", "ip_not_whitelisted", "method_component_disabled", "parameter_component_disabled", "account_inactive"}
)
_WRONG_CALL = frozenset({"invalid_request", "batch_operations_not_supported", "notifications_not_supported"})
_FILTER = frozenset({"filter_prohibited", "unexpected_parameters"})
_REMEDIES = {
    "ip_not_whitelisted": "Add this IP address to the whitelist in the client area of that account (the customer's own,"
    " not its agent's)",
    "forbidden": "Give the API user the rights to virtual numbers in the client area",
    "account_inactive": "The account is switched off at the vendor; ask them, or leave it out with --account",
    "method_component_disabled": "The account's tariff lacks this method; ask the vendor to switch it on",
    "parameter_component_disabled": "The account's tariff lacks this parameter; ask the vendor to switch it on",
    "access_token_expired": "Make a new key in the client area and put it into the token file",
    "access_token_invalid": "Check that the token file holds the whole key, and that the URL is your brand's",
    "access_token_blocked": "The key is blocked; make a new one in the client area",
    "auth_error": "Check login and password, or the key",
}


def digest_of(data: bytes | memoryview | msgspec.Raw) -> bytes:
    """A digest that nobody can aim at: whoever writes a number's comment could else hide a change behind it."""
    return hashlib.sha256(data).digest()[:DIGEST]


def decode(body: bytes, request_id: int, redaction: Redaction = NOTHING_SECRET, known: bytes = b"") -> Result:
    """The result of an answer to `request_id`; records with the digest `known` were read before, and are passed over.

    Raises what the answer's error asks for (`error_of`), `NotOurs` when it is to another request, `Transient` when it
    is no whole JSON, `SourceUnusable` when it is JSON but no answer of this API.
    """
    array = _array(body) if known else memoryview(b"")
    digest = digest_of(array) if known else b""
    passed_over = _around(body, array) if known and digest == known else None
    envelope = passed_over or _envelope(body, redaction)
    answered = envelope.result is not None and envelope.result is not msgspec.UNSET
    if envelope.error is not None and not answered:
        if envelope.id is not None and not _same(envelope.id, request_id):
            raise NotOurs
        raise error_of(envelope.error, redaction)
    if not _same(envelope.id, request_id):
        raise NotOurs
    if envelope.error is not None:
        raise SourceUnusable("the answer has both a result and an error")
    if not isinstance(envelope.result, Result):
        raise SourceUnusable("the answer has neither a result nor an error")
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


class LimitExceeded(TryLater):
    """The points of the minute are used up; `reset`: seconds, as the source says."""

    def __init__(self, cause: str, reset: object) -> None:
        super().__init__(cause)
        self.reset = reset


def error_of(error: ErrorBody, redaction: Redaction = NOTHING_SECRET) -> VnsyncError:
    """The error to raise for an error answer, by its mnemonic; an unknown one stops, it is never retried for ever."""
    mnemonic = error.mnemonic
    cause = redaction.quote(f"the source answers {mnemonic or error.code}: {error.message}{_named_field(error)}")
    remedy = _REMEDIES.get(mnemonic)
    if mnemonic in _SESSION:
        return SessionExpired(cause, remedy=remedy)
    if mnemonic in _REFUSED:
        return AccountRefused(_with_address(cause, error, redaction), mnemonic=mnemonic, remedy=remedy)
    if mnemonic == "limit_exceeded":
        return _limit(cause, error)
    if mnemonic == "internal_error" or (not mnemonic and error.code == -32603):
        return Transient(cause)
    if mnemonic in _FILTER and _about_filter(error):
        return FilterRefused(cause)
    if mnemonic in _WRONG_CALL or error.code in (-32600, -32700):
        return SourceUnusable(cause)
    if mnemonic == "method_not_found" or error.code == -32601:
        return MethodUnknown(cause, remedy="Check the version at the end of the API URL (/v2.0)")
    if not mnemonic and error.code in (-32001, -32003):
        return NotAllowed(cause)
    return SourceUnusable(cause)


def _named_field(error: ErrorBody) -> str:
    field = error.details.get("field")
    return f" (field {field})" if isinstance(field, str) and field and error.code == -32602 else ""


def _with_address(cause: str, error: ErrorBody, redaction: Redaction) -> str:
    params = error.details.get("params")
    address = params.get("ip") or params.get("ip_address") if isinstance(params, dict) else None
    value = address or error.details.get("value")
    return f"{cause} ({redaction.quote(value, 60)})" if value and error.mnemonic == "ip_not_whitelisted" else cause


def _about_filter(error: ErrorBody) -> bool:
    named = str(error.details.get("field") or "")
    return error.mnemonic == "filter_prohibited" or named in ("", "id") or named.startswith("filter")


def _limit(cause: str, error: ErrorBody) -> VnsyncError:
    params, metadata = error.details.get("params"), error.details.get("metadata")
    limits = metadata.get("limits") if isinstance(metadata, dict) else None
    limits = limits if isinstance(limits, dict) else {}
    if isinstance(params, dict) and params.get("limit_type") == "minute":
        return LimitExceeded(cause, limits.get("minute_reset"))
    return day_limit(limits.get("day_reset"))


def day_limit(reset: object) -> DayLimit:
    """The error for a day whose points are used up; `reset`: seconds until they come back, as the source says."""
    known = isinstance(reset, int | float) and not isinstance(reset, bool) and 0 < reset <= _LONGEST_DAY
    when = f" in {reset / 3600:.1f} h" if known else " tomorrow"  # type: ignore[operator]
    return DayLimit("the day's API points are used up", remedy=f"What was published stays; run again{when}")


_LONGEST_DAY = 2 * 86_400.0
