"""Client of the Data API: a method call is one POST with credentials, points, retries and renewal of the session."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from etl.domain.events import Notice
from etl.domain.ports import Clock, Random, Report
from etl.domain.recorder import Tap
from etl.domain.tables import METHOD as LISTING
from etl.errors import BrokenAnswer, Misconfigured, NotAllowed, SessionExpired, VnsyncError
from etl.extract.answers import NotOurs, Result, decode, decode_login
from etl.extract.api_errors import Call, LimitExceeded
from etl.extract.connection import Bounds, new_client, ssl_context
from etl.extract.credentials import Credentials, Login, redaction_of
from etl.extract.exchange_log import ExchangeTap, RequestSummary
from etl.extract.http import HttpClient
from etl.extract.points import Points, minute_pause
from etl.extract.rate_limiter import Pace, Turn
from etl.extract.redaction import Redaction
from etl.extract.retry import RetryPolicy
from etl.extract.session import Session

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

FIRST_IDS = 2**40
"""Request ids begin at a random number below this, so an answer to another process is not taken for ours."""
MINUTE_WAITS = 10
"""How many minute limits in a row one request waits for before the run ends with `LimitExceeded`."""


class _RequestIds:
    """Ids of the requests, from `first` on."""

    def __init__(self, first: int) -> None:
        self._numbers, self._first, self._newest = itertools.count(first), first, first - 1

    def next(self) -> int:
        """A new id."""
        self._newest = number = next(self._numbers)
        return number

    @property
    def given(self) -> int:
        """How many there were so far."""
        return self._newest - self._first + 1


class _Shared(Struct, frozen=True, kw_only=True):
    """State that all clients of one token share; safe to use from several threads."""

    url: str
    session: Session
    redaction: Redaction
    tap: Tap | None
    open_http_client: Callable[[Clock], AbstractContextManager[HttpClient]]
    ids: _RequestIds
    pace: Pace
    warned: threading.Event = field(default_factory=threading.Event)


class DataApi:
    """Client of the API, for one thread at a time. It counts its `requests` and the `retries` among them.

    `for_thread` opens a second client for the same token. Both share session and points; connection and counts are
    separate.
    """

    def __init__(self, shared: _Shared, http_client: HttpClient, retry: RetryPolicy) -> None:
        self._shared, self._http_client, self._retry, self.url = shared, http_client, retry, shared.url
        self._clock, self._report, self._redaction = retry.clock, retry.report, shared.redaction
        self._tap = ExchangeTap(shared.tap, retry.clock, shared.redaction)
        self._token: str | None = None
        self.requests = self.retries = 0

    def credential(self, known: Iterable[str]) -> str:
        """Name of the credentials, no secret: the one of the `known` names that means the same ones, or a new name."""
        return self._shared.session.credential(known, self._retry.random)

    @property
    def sent(self) -> int:
        """How many requests all clients of this token have sent (`for_thread` makes others)."""
        return self._shared.ids.given

    @property
    def points(self) -> Points:
        """The token's points, as far as they are known."""
        return self._shared.pace.points

    def points_now(self) -> Points:
        """The points with all that other processes of the token know of them."""
        return self._shared.pace.now()

    @property
    def server_date(self) -> float | None:
        """The source's clock at its last answer, in seconds since 1970; None if the answer had no date."""
        return self._http_client.server_date

    @contextmanager
    def for_thread(self, *, clock: Clock, report: Report) -> Iterator[DataApi]:
        """A second client with the same token, for another thread: it waits on `clock` and sends events to `report`."""
        with self._shared.open_http_client(clock) as http_client:
            yield DataApi(self._shared, http_client, replace(self._retry, clock=clock, report=report))

    def account(self) -> AbstractContextManager[None]:
        """Context in which one account is listed while others are too: its points are reserved (`Pace.account`)."""
        return self._shared.pace.account(self, self._clock)

    def abandon(self) -> None:
        """End the request under way at once, and every later one. Called from another thread."""
        self._http_client.abandon()

    def afford(self, requests: int) -> None:
        """Raise `TooFewPoints` if today's points do not allow so many requests, before the first one is sent."""
        self._shared.pace.afford(self, requests)

    def call(self, method: str, params: dict[str, Any] | None = None, *, known: bytes = b"") -> Result:
        """Result of one method call. `known`: digest of records that need not be decoded again (`answers.decode`).

        Waits for the end of minute limits, renews an expired session once, retries transient errors, and asks once more
        after an answer that breaks the contract. Otherwise raises the errors of `api_errors.error_of` and of
        `http.HttpClient.post`; `TryLater` if the day's points are used up.
        """
        for _ in range(MINUTE_WAITS):
            try:
                return self._with_session(lambda: self._with_second_chance(method, params, known))
            except LimitExceeded as exc:
                self._shared.pace.pause(minute_pause(exc.reset), self._clock, self._report)
        raise LimitExceeded(f"the minute's API points stay used up after {MINUTE_WAITS} waits", None)

    def _with_session(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except SessionExpired:
            if not self._shared.session.expired(self._token):
                raise
        return call()

    def _with_second_chance(self, method: str, params: dict[str, Any] | None, known: bytes) -> Result:
        """Result of a call. After a first broken answer, which costs a point, it asks again; a second one is raised."""
        try:
            return self._paced(method, params, known)
        except BrokenAnswer as exc:
            self._retry.pause(exc, self._retried)
        return self._paced(method, params, known)

    def _paced(self, method: str, params: dict[str, Any] | None, known: bytes) -> Result:
        with self._shared.pace.turn(self, self._clock, self._report) as turn:
            return self._retry.call(lambda: self._once(method, params, known, turn), self._retried)

    def _once(self, method: str, params: dict[str, Any] | None, known: bytes, turn: Turn) -> Result:
        self._token = self._shared.session.token(self._log_in)
        sent = params or {}
        request_id, body = self._encode(method, {"access_token": self._token, **sent})
        call, rows_later = Call(method=method, user_id=sent.get("user_id")), method == LISTING

        def read(answer: bytes) -> Result:
            result = decode(answer, request_id, self._redaction, known, call, rows_later=rows_later)
            metadata = result.metadata if isinstance(result.metadata, dict) else {}
            turn.received(metadata.get("limits"))
            self._check_version(metadata.get("api_version"))
            return _listed(result, method)

        return self._answer(body, read, RequestSummary(method, sent, request_id))

    def _log_in(self, credentials: Login) -> str:
        request_id, body = self._encode("login.user", {"login": credentials.login, "password": credentials.password})
        try:
            token = self._answer(body, lambda answer: decode_login(answer, request_id, self._redaction))
        except SessionExpired as exc:
            raise NotAllowed(str(exc), remedy="Check login and password") from exc
        self._redaction.add(token)
        return token

    def _encode(self, method: str, params: dict[str, Any]) -> tuple[int, bytes]:
        request_id = self._shared.ids.next()
        return request_id, msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})

    def _answer(self, body: bytes, read: Callable[[bytes], T], asked: RequestSummary | None = None) -> T:
        self.requests += 1
        try:
            return read(self._post(body, asked))
        except NotOurs:
            self._http_client.drop_connection()  # its later answers may belong to other requests, too
            raise

    def _post(self, body: bytes, asked: RequestSummary | None) -> bytes:
        """The answer to `body`. `asked`: the request, for the exchange tap; None for a login, whose answer is a key."""
        try:
            answer = self._http_client.post(body)
        except VnsyncError as exc:
            if asked is not None:
                self._tap.failed(asked, exc, self._http_client.status)
            raise
        if asked is not None:
            self._tap.answered(asked, answer, self._http_client.status)
        return answer

    def _retried(self) -> None:
        self.retries += 1

    def _check_version(self, version: object) -> None:
        warned = self._shared.warned
        deprecated = isinstance(version, dict) and version.get("current_version_deprecated") is True
        if isinstance(version, dict) and deprecated and not warned.is_set():
            warned.set()
            latest = self._redaction.quote(version.get("latest_version"), 40)
            self.notice(f"the source calls this API version deprecated; the latest is {latest}")

    def notice(self, message: str) -> None:
        """Report to the operator something that no table records."""
        self._report(Notice(message=message))


def _listed(result: Result, method: str) -> Result:
    """The result of a method that answers with a list. Raises `BrokenAnswer` if it is not one."""
    if bytes(memoryview(result.data)[:1]) != b"[":
        raise BrokenAnswer(f"{method} did not answer with a list")
    return result


@contextmanager
def open_api(
    url: str,
    credentials: Credentials,
    *,
    clock: Clock,
    random: Random,
    report: Report,
    retry_max_seconds: float = 300.0,
    transport: httpx.BaseTransport | None = None,
    bounds: Bounds | None = None,
    tap: Tap | None = None,
    pace: Pace | None = None,
) -> Iterator[DataApi]:
    """A `DataApi` with its own HTTP client. `transport` replaces the network (the sandbox in-process).

    `tap`: receives every exchange, as evidence. `pace`: of the token's points, where other processes share them.
    """
    retry = RetryPolicy(clock=clock, random=random, report=report, max_seconds=retry_max_seconds)
    redaction = redaction_of(credentials)
    checked_url(url)
    tls = None if transport else ssl_context(url)

    @contextmanager
    def open_http_client(clock: Clock) -> Iterator[HttpClient]:
        with new_client(transport, url=url, bounds=bounds, tls=tls) as client:
            yield HttpClient(client, url, clock, bounds=bounds, redaction=redaction)

    ids = _RequestIds(random.randrange(FIRST_IDS) + 1)
    shared = _Shared(
        url=url,
        session=Session(credentials),
        redaction=redaction,
        ids=ids,
        tap=tap,
        open_http_client=open_http_client,
        pace=pace or Pace(),
    )
    with open_http_client(clock) as http_client:
        yield DataApi(shared, http_client, retry)


def checked_url(url: str) -> str:
    """The URL, if a token may be sent to it: https, or http on loopback. Raises `Misconfigured`."""
    import httpx

    parsed = httpx.URL(url)
    if parsed.scheme == "https" and parsed.host:
        return url
    if parsed.scheme == "http" and parsed.host in ("127.0.0.1", "localhost", "::1"):
        return url
    raise Misconfigured(f"the API URL {url} is not https", remedy="Use https; plain http is for loopback only")
