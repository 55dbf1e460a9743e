"""HTTP client: one POST over httpx, limited in time and bytes. It returns the whole body or raises an error."""

from __future__ import annotations

import ssl

import httpx

from etl.domain.ports import Clock
from etl.errors import Misconfigured, TimedOut, Transient, VnsyncError
from etl.extract.connection import Bounds, CancellableConnection, new_client
from etl.extract.http_status import FORBIDDEN, NOT_FOLLOWED, TooManyRequests, http_date, refused, status_error
from etl.extract.inflate import read_body
from etl.extract.redaction import NOTHING_SECRET, Redaction

__all__ = ["Bounds", "HttpClient", "TooManyRequests", "new_client"]

_ERROR_BODY = 2**20
"""Most bytes that are read of an answer whose status is not 200."""
_CONNECTION_LOST = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Errors of a handshake that failed because the connection was lost."""


class HttpClient:
    """Posts JSON to one URL and returns the body."""

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        clock: Clock,
        *,
        bounds: Bounds | None = None,
        redaction: Redaction = NOTHING_SECRET,
    ) -> None:
        self._client, self._url, self._clock = client, url, clock
        self._bounds, self._redaction, self._connection = bounds or Bounds(), redaction, CancellableConnection()
        self.server_date: float | None = None
        self.status: int | None = None
        """The HTTP status of the last answer; None when there was none."""

    def post(self, body: bytes) -> bytes:
        """The whole body of the answer to `body`: of a 200, or a JSON-RPC error under another status.

        Raises `Transient` for an error that may pass (connection, timeouts, 5xx, a cut body), `Misconfigured`,
        `NotAllowed` or `SourceUnusable` for one that will not.
        """
        try:
            answer = self._answer(body)
        except httpx.TransportError as exc:
            self._redaction.scrub(exc)
            raise self._late() if self._connection.overdue else self._unreachable(exc) from exc
        except httpx.InvalidURL as exc:
            raise Misconfigured(f"the API URL cannot be used: {exc}") from exc
        if self._connection.overdue:
            raise self._late()
        return answer

    def drop_connection(self) -> None:
        """End this connection, because it can no longer be trusted. The next request opens another."""
        self._connection.cut()

    def abandon(self) -> None:
        """End the request under way, and every later one as soon as it connects. Called from another thread."""
        self._connection.abandon()

    def _answer(self, body: bytes) -> bytes:
        deadline = self._clock.monotonic() + self._bounds.whole
        self.status = None

        def on_time() -> None:
            if self._clock.monotonic() > deadline:
                raise self._late()

        stream = self._client.stream("POST", self._url, content=body, extensions=self._connection.extensions)
        with self._connection.limited(self._bounds.whole), stream as response:
            self.status, self.server_date = response.status_code, http_date(response.headers.get("date"))
            on_time()
            if response.status_code == httpx.codes.OK:
                return read_body(response, self._bounds, on_time)
            return _api_error(response, self._bounds) or self._refuse(response)

    def _refuse(self, response: httpx.Response) -> bytes:
        raise status_error(response, self._redaction, self.server_date or self._clock.now().timestamp())

    def _late(self) -> TimedOut:
        return TimedOut(f"the answer was not complete within {self._bounds.whole:.0f} s")

    def _unreachable(self, exc: httpx.TransportError) -> VnsyncError:
        host, detail = httpx.URL(self._url).host, self._redaction.quote(str(exc) or type(exc).__name__)
        if isinstance(exc, httpx.UnsupportedProtocol):
            return Misconfigured(f"the API URL cannot be used: {detail}")
        if "in location header" in detail:  # httpx checks a redirect's target even when it does not follow it
            return Misconfigured("the source redirects to an impossible address", remedy=NOT_FOLLOWED)
        if isinstance(exc, httpx.ProxyError):
            return _of_proxy(exc, detail)
        if _is_tls_refusal(exc):
            remedy = "Check the URL, the clock and any proxy in between; TLS cannot be turned off"
            return Misconfigured(f"TLS with {host} failed: {detail}", remedy=remedy)
        kind = TimedOut if isinstance(exc, httpx.ReadTimeout | httpx.WriteTimeout) else Transient
        return kind(f"{host} is unreachable: {detail}", remedy="Check the network and the URL")


def _of_proxy(exc: httpx.ProxyError, detail: str) -> VnsyncError:
    """The error for a proxy that refuses; the HTTP status is the first word of httpx's message."""
    status = str(exc)[:3]
    if status.isdecimal() and int(status) in FORBIDDEN:
        return refused(int(status))
    return Transient(f"the proxy refuses the connection: {detail}", remedy="Check the proxy that HTTPS_PROXY names")


def _api_error(response: httpx.Response, bounds: Bounds) -> bytes | None:
    """The body, if the API itself answers with a JSON-RPC error under an HTTP error status; else None."""
    if response.status_code < 400 or "json" not in response.headers.get("content-type", ""):
        return None
    try:
        body = read_body(response, Bounds(body=_ERROR_BODY, ratio=bounds.ratio), lambda: None)
    except (httpx.TransportError, VnsyncError):
        return None
    return body if b'"jsonrpc"' in body and b'"error"' in body else None


def _is_tls_refusal(exc: BaseException) -> bool:
    """Whether a handshake failed for a reason that another try will not fix."""
    causes: list[BaseException] = [exc]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    refused = [c for c in causes if isinstance(c, ssl.SSLError) and not isinstance(c, _CONNECTION_LOST)]
    return isinstance(exc, httpx.ConnectError) and bool(refused)
