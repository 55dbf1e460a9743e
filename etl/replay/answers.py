"""The source as the archive knows it: a transport that answers each request with what was once received for it."""

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
from etl.errors import AccountRefused, Held, SourceUnusable, VnsyncError
from etl.extract.page import METHOD
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
    """The archive holds no answer to a request."""

    default_remedy = (
        "This vnsync asks in another way than the one that wrote the run; the manifest's first line names it."
    )


class ArchivedSource(httpx.BaseTransport):
    """Answers the requests of one run. An account that was not published then fails again, for the recorded reason.

    Serving an account's request sets the clock to the moment at which it was observed.
    """

    def __init__(
        self, manifest: Manifest, published: Mapping[int, Publishes], responses: Responses, clock: ArchivedClock
    ) -> None:
        self._responses, self._clock, self._published = responses, clock, published
        self._outcomes = {i: o for i, o in manifest.outcomes.items() if i not in published}
        self._accounts = {user: account for account, users in manifest.roster.items() for user in users}
        self._only = next(iter(manifest.roster)) if len(manifest.roster) == 1 else None
        self._waiting: dict[Key, deque[Response]] = defaultdict(deque)
        self._last: dict[Key, Response] = {}
        self._proofs: list[Response] = []
        self._lock = threading.Lock()
        for line in manifest.responses:
            if line.sha256 is not None:
                asked = line.asked()
                self._waiting[self._key(line.method, asked)].append(line)
                if _asked_ids(asked) is not None:
                    self._proofs.append(line)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The archived answer, under the request's own id."""
        asked = _request.decode(request.read())
        if asked.method == "login.user":
            return _ok(_encoder.encode(_logged_in(asked.id)))
        with self._lock:
            self._remember_account(asked)
            return _ok(*self._answer(asked))

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

    def _answer(self, asked: _Request) -> list[bytes | memoryview]:
        key = self._key(asked.method, asked.params)
        if self._waiting[key]:
            line = self._last[key] = self._waiting[key].popleft()
        elif key in self._last:
            line = self._last[key]  # asked once more than then: the source said nothing else
        elif asked.method == OWN_ACCOUNT and (known := self._published.get(self._account(asked.params) or 0)):
            return [_described(asked.id, known)]
        else:
            return [self._composed(asked)]
        assert line.sha256 is not None
        return readdressed(self._responses.get(line.sha256), line.request_id, asked.id)

    # -- a question about single numbers that was put in other words

    def _composed(self, asked: _Request) -> bytes:
        """An answer about certain ids from those that were given about them, whatever else these were about."""
        ids = _asked_ids(asked.params)
        if ids is None:
            raise NotArchived(f"the archive holds no answer to {asked.method} {_shown(asked.params)}")
        told: set[int] = set()
        found: dict[int, msgspec.Raw] = {}
        for line in self._proofs:
            params = line.asked()
            if self._account(params) == self._account(asked.params) and line.sha256 is not None:
                told |= _asked_ids(params) or set()
                found.update(rows(self._responses.get(line.sha256)))
        if not ids <= told:
            raise NotArchived(f"the archive tells nothing of {counted(len(ids - told), 'missing number')}")
        data = [found[i] for i in sorted(ids & found.keys())]
        result = {"data": data, "metadata": {"total_items": len(data)}}
        return _encoder.encode({"jsonrpc": "2.0", "id": asked.id, "result": result})


class _ReadOnce(httpx.SyncByteStream):
    """A body that is let go when it is read: httpx's response and stream hold each other, and would hold it, too."""

    def __init__(self, parts: Sequence[bytes | memoryview]) -> None:
        self._left = [list(parts)]

    def __iter__(self) -> Iterator[bytes]:
        """The body, once, in steps that add little to what is held already."""
        for part in self._left.pop():
            view = memoryview(part)
            yield from (bytes(view[at : at + STEP]) for at in range(0, len(view), STEP))


def _ok(*parts: bytes | memoryview) -> httpx.Response:
    return httpx.Response(200, stream=_ReadOnce(parts))


def as_then(outcome: Outcome) -> VnsyncError:
    """The error with which an account ended then."""
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
    """What a run that knew the account already did not ask for again: its name and time zone, as it published them."""
    own = {"app_id": published.account_id, "name": published.account_name, "timezone": published.timezone}
    return _encoder.encode({"jsonrpc": "2.0", "id": request_id, "result": {"data": [own], "metadata": {}}})


def _asked_ids(params: Mapping[str, Any]) -> set[int] | None:
    """The ids that a proof asks for; None for any other request."""
    where = params.get("filter")
    if isinstance(where, dict) and where.get("operator") == "in" and where.get("field") == "id":
        return set(where["value"])
    return None


def _shown(params: Mapping[str, Any]) -> str:
    text = _encoder.encode({k: v for k, v in params.items() if k != "access_token"}).decode()
    return text if len(text) <= 120 else text[:119] + "…"
