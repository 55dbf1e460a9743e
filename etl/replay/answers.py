"""HTTP transport for a replay: it answers each request with the response that the archive has for that request."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import msgspec

from etl.archive.lines import Account as Outcome
from etl.archive.lines import Publishes, Response
from etl.archive.manifest import Manifest
from etl.archive.responses import Responses
from etl.domain.figures import counted
from etl.domain.runs import Unreachable
from etl.domain.tables import METHOD
from etl.errors import AccountRefused, Held, SourceUnusable, VnsyncError
from etl.replay.readdressed import readdressed, rows
from etl.replay.time import ArchivedClock

STEP = 2**20
SESSION = "the session of a replay"
OWN_ACCOUNT = "get.account"
Key = tuple[str, bytes]


class _Request(msgspec.Struct):
    id: int
    method: str
    params: dict[str, Any]


_request = msgspec.json.Decoder(_Request)
_encoder = msgspec.json.Encoder(order="deterministic")


class NotArchived(SourceUnusable):
    """The archive has no answer to a request."""

    default_remedy = (
        "This vnsync version sends other requests than the version that wrote the run; the manifest's first line"
        " names that version."
    )


class ArchivedSource(httpx.BaseTransport):
    """Transport that answers the requests of one run. An unpublished account fails again, for the recorded reason.

    A request for an account sets the clock to the instant at which the account was observed.
    """

    def __init__(
        self, manifest: Manifest, published: Mapping[int, Publishes], responses: Responses, clock: ArchivedClock
    ) -> None:
        self._responses, self._clock, self._published = responses, clock, published
        self._outcomes = {i: o for i, o in manifest.outcomes.items() if i not in published}
        self._accounts = {user: account for account, users in manifest.roster.items() for user in users}
        self._only = next(iter(manifest.roster)) if len(manifest.roster) == 1 else None
        self._unused: dict[Key, deque[Response]] = defaultdict(deque)
        self._last: dict[Key, Response] = {}
        self._proofs: list[Response] = []
        self._lock = threading.Lock()
        for line in manifest.responses:
            if line.sha256 is not None:
                asked = line.asked()
                self._unused[self._key(line.method, asked)].append(line)
                if _asked_ids(asked) is not None:
                    self._proofs.append(line)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the archived answer, with the id of the new request."""
        asked = _request.decode(request.read())
        if asked.method == "login.user":
            return _ok(_encoder.encode(_logged_in(asked.id)))
        with self._lock:
            self._remember_account(asked)
            return _ok(*self._answer(asked))

    def _key(self, method: str, params: Mapping[str, Any]) -> Key:
        """Key of a request; requests through different users of one account have the same key."""
        named = {k: v for k, v in params.items() if k not in ("access_token", "user_id")}
        return method, _encoder.encode({**named, "account": self._account(params)})

    def _account(self, params: Mapping[str, Any]) -> int | None:
        """Account of the user that a request names; None if it names no user."""
        return self._accounts.get(params.get("user_id", 0))

    def _remember_account(self, asked: _Request) -> None:
        """Set the clock for the request's account, or raise the error with which that account failed."""
        unnamed = asked.method == METHOD and "user_id" not in asked.params
        account = self._only if unnamed else self._account(asked.params)
        if account is None:
            return
        if account in self._published:
            self._clock.moment = self._published[account].observed_at
        elif account in self._outcomes:
            raise recorded_error(self._outcomes[account])

    def _answer(self, asked: _Request) -> list[bytes | memoryview]:
        key = self._key(asked.method, asked.params)
        if self._unused[key]:
            line = self._last[key] = self._unused[key].popleft()
        elif key in self._last:
            line = self._last[key]  # more requests than in the recorded run: repeat the last answer
        elif asked.method == OWN_ACCOUNT and (known := self._published.get(self._account(asked.params) or 0)):
            return [_described(asked.id, known)]
        else:
            return [self._composed(asked)]
        assert line.sha256 is not None
        return readdressed(self._responses.get(line.sha256), line.request_id, asked.id)

    # -- proofs that ask for another set of ids than the recorded run did

    def _composed(self, asked: _Request) -> bytes:
        """Answer for a set of ids, composed from the archived proofs of the account that asked for any of them."""
        ids = _asked_ids(asked.params)
        if ids is None:
            raise NotArchived(f"the archive has no answer to {asked.method} {_shown(asked.params)}")
        archived: set[int] = set()
        found: dict[int, msgspec.Raw] = {}
        for line in self._proofs:
            params = line.asked()
            if self._account(params) == self._account(asked.params) and line.sha256 is not None:
                archived |= _asked_ids(params) or set()
                found.update(rows(self._responses.get(line.sha256)))
        if not ids <= archived:
            raise NotArchived(f"the archive has no answer about {counted(len(ids - archived), 'missing number')}")
        data = [found[i] for i in sorted(ids & found.keys())]
        result = {"data": data, "metadata": {"total_items": len(data)}}
        return _encoder.encode({"jsonrpc": "2.0", "id": asked.id, "result": result})


class _ReadOnce(httpx.SyncByteStream):
    """Body that is released once it is read: httpx's response and stream refer to each other and would keep it."""

    def __init__(self, parts: Sequence[bytes | memoryview]) -> None:
        self._left = [list(parts)]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body once, in small copies, so that little memory is added."""
        for part in self._left.pop():
            view = memoryview(part)
            yield from (bytes(view[at : at + STEP]) for at in range(0, len(view), STEP))


def _ok(*parts: bytes | memoryview) -> httpx.Response:
    return httpx.Response(200, stream=_ReadOnce(parts))


def recorded_error(outcome: Outcome) -> VnsyncError:
    """Error with which an account ended in the recorded run."""
    cause, _, remedy = (outcome.error or outcome.status).rpartition(". ")
    if outcome.status == "unreachable":
        return AccountRefused(cause or remedy, mnemonic=Unreachable.INACTIVE, remedy=remedy)
    kind = Held if outcome.status == "held" else VnsyncError
    error = kind(cause or remedy, remedy=remedy)
    error.exit_code = outcome.exit_code
    return error


def _logged_in(request_id: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "result": {"data": {"access_token": SESSION, "app_id": 0}}}


def _described(request_id: int, published: Publishes) -> bytes:
    """Answer to `get.account` that the run did not request: the account's name and time zone as published."""
    own = {"app_id": published.account_id, "name": published.account_name, "timezone": published.timezone}
    return _encoder.encode({"jsonrpc": "2.0", "id": request_id, "result": {"data": [own], "metadata": {}}})


def _asked_ids(params: Mapping[str, Any]) -> set[int] | None:
    """Ids that a proof asks for; None for any other request."""
    where = params.get("filter")
    if isinstance(where, dict) and where.get("operator") == "in" and where.get("field") == "id":
        return set(where["value"])
    return None


def _shown(params: Mapping[str, Any]) -> str:
    text = _encoder.encode({k: v for k, v in params.items() if k != "access_token"}).decode()
    return text if len(text) <= 120 else text[:119] + "…"
