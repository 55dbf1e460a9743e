"""The Data API as a method call: credentials, points, retries and the session's renewal around one POST."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from etl.domain.events import Notice, Waiting
from etl.domain.ports import Clock, Random, Report
from etl.domain.witness import Tap
from etl.errors import Misconfigured, NotAllowed, SessionExpired, VnsyncError
from etl.extract.answers import LimitExceeded, NotOurs, Result, day_limit, decode, decode_login
from etl.extract.archive import Asked, Ear
from etl.extract.connection import Bounds, new_client
from etl.extract.credentials import Credentials, Login, PermanentKey
from etl.extract.http import Poster
from etl.extract.points import Pause, Points, Spent, minute_pause
from etl.extract.redaction import Redaction
from etl.extract.retry import RetryPolicy

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

FIRST_IDS = 2**40
"""Request ids begin at a random number below this, so that an answer to another process cannot pass for ours."""
MINUTE_WAITS = 10
"""How often in a row one request waits out a minute limit before the run gives up until later."""


class DataApi:
    """One token's way to the API. Counts what it costs: `requests` sent, `retries` among them."""

    def __init__(
        self,
        poster: Poster,
        credentials: Credentials,
        *,
        retry: RetryPolicy,
        url: str,
        redaction: Redaction,
        tap: Tap | None = None,
    ) -> None:
        self._poster, self._credentials, self._retry, self.url = poster, credentials, retry, url
        self._clock, self._report, self._redaction = retry.clock, retry.report, redaction
        self._token = credentials.token if isinstance(credentials, PermanentKey) else None
        redaction.add(credentials.token if isinstance(credentials, PermanentKey) else credentials.password)
        self._ear = Ear(tap, retry.clock, redaction)
        self._last_id = retry.random.randrange(FIRST_IDS)
        self._warned = False
        self.points = Points()
        self.requests = self.retries = 0

    @property
    def server_date(self) -> float | None:
        """The source's clock at its last answer, seconds since 1970; None when it did not say."""
        return self._poster.server_date

    def call(self, method: str, params: dict[str, Any] | None = None) -> Result:
        """The result of one method call.

        Waits out minute limits, renews an expired session once, retries what is transient. Raises the errors of
        `answers.error_of` and of `http.Poster.post` for the rest; `TryLater` when the day's points are used up.
        """
        for _ in range(MINUTE_WAITS):
            try:
                return self._with_session(lambda: self._paced(method, params))
            except LimitExceeded as exc:
                self._pause(minute_pause(exc.reset))
        raise LimitExceeded(f"the minute's API points stay used up after {MINUTE_WAITS} waits", None)

    def _with_session(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except SessionExpired:
            if not isinstance(self._credentials, Login):
                raise
            self._token = None
        return call()

    def _paced(self, method: str, params: dict[str, Any] | None) -> Result:
        self._pace()
        return self._retry.call(lambda: self._once(method, params), self._retried)

    def _once(self, method: str, params: dict[str, Any] | None) -> Result:
        token = self._token or self._log_in(self._credentials)
        request_id, body = self._encode(method, {"access_token": token, **(params or {})})
        asked = Asked(method, params or {}, request_id)
        result = self._answer(body, lambda answer: decode(answer, request_id, self._redaction), asked)
        self._hear(result.metadata)
        return result

    def _log_in(self, credentials: Credentials) -> str:
        assert isinstance(credentials, Login)
        request_id, body = self._encode("login.user", {"login": credentials.login, "password": credentials.password})
        try:
            token = self._answer(body, lambda answer: decode_login(answer, request_id, self._redaction))
        except SessionExpired as exc:
            raise NotAllowed(str(exc), remedy="Check login and password") from exc
        self._redaction.add(token)
        self._token = token
        return token

    def _encode(self, method: str, params: dict[str, Any]) -> tuple[int, bytes]:
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        return self._last_id, msgspec.json.encode(request)

    def _answer(self, body: bytes, read: Callable[[bytes], T], asked: Asked | None = None) -> T:
        self.requests += 1
        try:
            return read(self._post(body, asked))
        except NotOurs:
            self._poster.hang_up()  # the answers on this connection may be out of step for good
            raise

    def _post(self, body: bytes, asked: Asked | None) -> bytes:
        """The answer to `body`; `asked` tells the ear what it was. A login has none, for its answer is a key."""
        try:
            answer = self._poster.post(body)
        except VnsyncError as exc:
            if asked is not None:
                self._ear.missed(asked, exc, self._poster.status)
            raise
        if asked is not None:
            self._ear.heard(asked, answer, self._poster.status)
        return answer

    def _retried(self) -> None:
        self.retries += 1

    def _pace(self) -> None:
        advice = self.points.before_request()
        if isinstance(advice, Spent):
            raise day_limit(advice.reset)
        if isinstance(advice, Pause):
            self._pause(advice)

    def _pause(self, pause: Pause) -> None:
        self._report(Waiting(seconds=pause.seconds, reason="the minute's API points are used up"))
        self._clock.sleep(pause.seconds)

    def _hear(self, metadata: object) -> None:
        if not isinstance(metadata, dict):
            return
        self.points.heard(metadata.get("limits"))
        version = metadata.get("api_version")
        if isinstance(version, dict) and version.get("current_version_deprecated") and not self._warned:
            self._warned = True
            latest = self._redaction.quote(version.get("latest_version"), 40)
            self.notice(f"the source calls this API version deprecated; the latest is {latest}")

    def notice(self, message: str) -> None:
        """Tell the operator what no row of a table says."""
        self._report(Notice(message=message))


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
) -> Iterator[DataApi]:
    """A `DataApi` on an HTTP client of its own; `transport` replaces the network (the sandbox in-process).

    `tap`: takes every exchange, for evidence.
    """
    retry = RetryPolicy(clock=clock, random=random, report=report, max_seconds=retry_max_seconds)
    redaction = Redaction()
    with new_client(transport, url=checked_url(url), bounds=bounds) as client:
        poster = Poster(client, url, clock, bounds=bounds, redaction=redaction)
        yield DataApi(poster, credentials, retry=retry, url=url, redaction=redaction, tap=tap)


def checked_url(url: str) -> str:
    """The URL, if a token may be sent there: https, or http on loopback. Raises `Misconfigured`."""
    import httpx

    parsed = httpx.URL(url)
    if parsed.scheme == "https" and parsed.host:
        return url
    if parsed.scheme == "http" and parsed.host in ("127.0.0.1", "localhost", "::1"):
        return url
    raise Misconfigured(f"the API URL {url} is not https", remedy="Use https; plain http is for loopback only")
