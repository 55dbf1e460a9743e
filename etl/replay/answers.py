"""The source as the archive knows it: a transport that answers each request with what was once received for it."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import httpx
import msgspec

from etl.archive.lines import Account as Outcome
from etl.archive.lines import Publishes, Response
from etl.archive.manifest import Manifest
from etl.archive.objects import Objects
from etl.domain.runs import Unreachable
from etl.errors import AccountRefused, Held, SourceUnusable, VnsyncError
from etl.extract.page import METHOD
from etl.replay.time import ArchivedClock

SESSION = "the session of a replay"
OWN_ACCOUNT = "get.account"
Key = tuple[str, bytes]


class _Request(msgspec.Struct):
    id: int
    method: str
    params: dict[str, Any]


class _Envelope(msgspec.Struct, omit_defaults=True):
    """An answer whose parts stay as they came."""

    id: Any = None
    jsonrpc: str = "2.0"
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Result(msgspec.Struct):
    data: msgspec.Raw
    metadata: dict[str, Any] = {}


class _WithId(msgspec.Struct):
    id: int


_request = msgspec.json.Decoder(_Request)
_envelope = msgspec.json.Decoder(_Envelope)
_result = msgspec.json.Decoder(_Result)
_encoder = msgspec.json.Encoder(order="deterministic")


class NotArchived(SourceUnusable):
    """The archive holds no answer to a request."""

    default_remedy = (
        "This vnsync asks in another way than the one that wrote the run; the manifest's first line names it."
    )


class ArchivedSource(httpx.BaseTransport):
    """Answers the requests of one run. An account that was not published then fails again, for the recorded reason.

    Serving an account's request sets the clock to the moment at which it was observed.
    """

    def __init__(
        self, manifest: Manifest, published: Mapping[int, Publishes], objects: Objects, clock: ArchivedClock
    ) -> None:
        self._objects, self._clock, self._published = objects, clock, published
        self._outcomes = {i: o for i, o in manifest.outcomes.items() if i not in published}
        self._accounts = {user: account for account, users in manifest.roster.items() for user in users}
        self._only = next(iter(manifest.roster)) if len(manifest.roster) == 1 else None
        self._waiting: dict[Key, deque[Response]] = defaultdict(deque)
        self._last: dict[Key, Response] = {}
        self._proofs: list[Response] = []
        self._lock = threading.Lock()
        for line in manifest.responses:
            if line.sha256 is not None:
                self._waiting[self._key(line.method, line.params)].append(line)
                if _asked_ids(line.params) is not None:
                    self._proofs.append(line)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The archived answer, under the request's own id."""
        asked = _request.decode(request.read())
        if asked.method == "login.user":
            return _ok(_encoder.encode(_logged_in(asked.id)))
        with self._lock:
            self._remember_account(asked)
            return _ok(self._answer(asked))

    def _key(self, method: str, params: Mapping[str, Any]) -> Key:
        """A request as it is found again; whichever of an account's users a run asked through."""
        named = {k: v for k, v in params.items() if k not in ("access_token", "user_id")}
        return method, _encoder.encode({**named, "account": self._account(params)})

    def _account(self, params: Mapping[str, Any]) -> int | None:
        """Whose eyes a request looks through; None without a user."""
        return self._accounts.get(params.get("user_id", 0))

    def _remember_account(self, asked: _Request) -> None:
        """Whose request it is: set the clock, or fail as it failed then."""
        unnamed = asked.method == METHOD and "user_id" not in asked.params
        account = self._only if unnamed else self._account(asked.params)
        if account is None:
            return
        if account in self._published:
            self._clock.moment = self._published[account].observed_at
        elif account in self._outcomes:
            raise as_then(self._outcomes[account])

    def _answer(self, asked: _Request) -> bytes:
        key = self._key(asked.method, asked.params)
        if self._waiting[key]:
            line = self._last[key] = self._waiting[key].popleft()
        elif key in self._last:
            line = self._last[key]  # asked once more than then: the source said nothing else
        elif asked.method == OWN_ACCOUNT and (known := self._published.get(self._account(asked.params) or 0)):
            return _described(asked.id, known)
        else:
            return self._composed(asked)
        assert line.sha256 is not None
        return _under(asked.id, line.request_id, self._objects.get(line.sha256))

    # -- a question about single numbers that was put in other words

    def _composed(self, asked: _Request) -> bytes:
        """An answer about certain ids from those that were given about them, whatever else these were about."""
        ids = _asked_ids(asked.params)
        if ids is None:
            raise NotArchived(f"the archive holds no answer to {asked.method} {_shown(asked.params)}")
        told: set[int] = set()
        rows: dict[int, msgspec.Raw] = {}
        for line in self._proofs:
            if self._account(line.params) == self._account(asked.params) and line.sha256 is not None:
                told |= _asked_ids(line.params) or set()
                rows.update(_rows(self._objects.get(line.sha256)))
        if not ids <= told:
            raise NotArchived(f"the archive tells nothing of {len(ids - told)} numbers that are missing")
        found = [rows[i] for i in sorted(ids & rows.keys())]
        result = {"data": found, "metadata": {"total_items": len(found)}}
        return _encoder.encode({"jsonrpc": "2.0", "id": asked.id, "result": result})


class _ReadOnce(httpx.SyncByteStream):
    """A body that is let go when it is read: httpx's response and stream hold each other, and would hold it, too."""

    def __init__(self, body: bytes) -> None:
        self._left = [body]

    def __iter__(self) -> Iterator[bytes]:
        """The body, once."""
        yield self._left.pop()


def _ok(body: bytes) -> httpx.Response:
    return httpx.Response(200, stream=_ReadOnce(body))


def as_then(outcome: Outcome) -> VnsyncError:
    """The error with which an account ended then."""
    cause, _, remedy = (outcome.error or outcome.status).rpartition(". ")
    if outcome.status == "unreachable":
        return AccountRefused(cause or remedy, mnemonic=Unreachable.INACTIVE, remedy=remedy)
    kind = Held if outcome.status == "held" else VnsyncError
    error = kind(cause or remedy, remedy=remedy)
    error.exit_code = outcome.exit_code
    return error


def _under(request_id: int, archived_id: int, body: bytes) -> bytes:
    """The answer under this request's id, if it had its own, and without the points of then; what is no JSON stays."""
    try:
        envelope = _envelope.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body
    if envelope.id == archived_id:
        envelope.id = request_id
    elif envelope.id == request_id:
        envelope.id = None
    if not isinstance(envelope.result, msgspec.UnsetType):
        envelope.result = _without_limits(envelope.result)
    return _encoder.encode(envelope)


def _without_limits(raw: msgspec.Raw) -> msgspec.Raw:
    """Points that were spent then do not hold up a replay."""
    try:
        result = _result.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return raw
    if result.metadata.pop("limits", None) is None:
        return raw
    return msgspec.Raw(_encoder.encode(result))


def _logged_in(request_id: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "result": {"data": {"access_token": SESSION, "app_id": 0}}}


def _described(request_id: int, published: Publishes) -> bytes:
    """What a run that knew the account already did not ask for again: its name and time zone, as it published them."""
    own = {"app_id": published.account_id, "name": published.account_name, "timezone": published.timezone}
    return _encoder.encode({"jsonrpc": "2.0", "id": request_id, "result": {"data": [own], "metadata": {}}})


def _asked_ids(params: Mapping[str, Any]) -> set[int] | None:
    """The ids that a proof asks for; None for any other request."""
    where = params.get("filter")
    if isinstance(where, dict) and where.get("operator") == "in" and where.get("field") == "id":
        return set(where["value"])
    return None


def _rows(body: bytes) -> Iterable[tuple[int, msgspec.Raw]]:
    try:
        result = _result.decode(_envelope.decode(body).result or b"")
        raws = msgspec.json.decode(result.data, type=list[msgspec.Raw])
        return [(msgspec.json.decode(raw, type=_WithId).id, raw) for raw in raws]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
        return []


def _shown(params: Mapping[str, Any]) -> str:
    text = _encoder.encode({k: v for k, v in params.items() if k != "access_token"}).decode()
    return text if len(text) <= 120 else text[:119] + "…"
