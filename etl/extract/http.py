"""One POST over httpx, bounded in time and bytes; what comes back is the whole body or an error."""

from __future__ import annotations

import json
import ssl
import zlib
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx

from etl.domain.ports import Clock
from etl.errors import Misconfigured, NotAllowed, SourceUnusable, Transient, TryLater, VnsyncError

MAX_BODY = 128 * 1024 * 1024
"""Most bytes of one answer, inflated. An answer of 10 000 records is about 7 MB."""
MAX_RATIO = 200
"""Most bytes that one received byte may inflate to, once past the first MiB."""
DEADLINE = 120.0
"""Seconds in which one request must be answered whole, however slowly its bytes trickle."""
READ_TIMEOUT = 60.0
CONNECT_TIMEOUT = 10.0

_HEADERS = {"Content-Type": "application/json; charset=UTF-8", "Accept-Encoding": "gzip, identity"}


def new_client(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """An httpx client that verifies TLS and follows no redirect: the token is in the body of every request.

    HTTPS_PROXY and the like are honoured, as an operator would expect behind a company's proxy.
    """
    timeout = httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
    return httpx.Client(transport=transport, timeout=timeout, follow_redirects=False, headers=_HEADERS)


class Poster:
    """Posts JSON to one URL and returns the body."""

    def __init__(self, client: httpx.Client, url: str, clock: Clock) -> None:
        self._client, self._url, self._clock = client, url, clock
        self.server_date: float | None = None

    def post(self, body: bytes) -> bytes:
        """The whole answer to `body`.

        Raises `Transient` for what may pass (connection, timeouts, 5xx, a cut body), `Misconfigured`, `NotAllowed`
        or `SourceUnusable` for what will not.
        """
        try:
            with self._client.stream("POST", self._url, content=body) as response:
                self._heed(response)
                return self._read(response)
        except httpx.TransportError as exc:
            raise self._unreachable(exc) from exc
        except httpx.InvalidURL as exc:
            raise Misconfigured(f"the API URL cannot be used: {exc}") from exc

    def _heed(self, response: httpx.Response) -> None:
        try:
            self.server_date = parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, ValueError):
            self.server_date = None
        if response.status_code != 200:
            raise _status_error(response)

    def _read(self, response: httpx.Response) -> bytes:
        deadline = self._clock.monotonic() + DEADLINE
        chunks: list[bytes] = []
        size = 0
        for chunk in _inflated(response):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY:
                raise SourceUnusable(f"the answer is larger than {MAX_BODY // 2**20} MiB")
            if self._clock.monotonic() > deadline:
                raise Transient(f"the answer was not whole within {DEADLINE:.0f} s")
        return b"".join(chunks)

    def _unreachable(self, exc: httpx.TransportError) -> VnsyncError:
        host = httpx.URL(self._url).host
        if isinstance(exc, httpx.UnsupportedProtocol):
            return Misconfigured(f"the API URL cannot be used: {exc}")
        if _is_tls_refusal(exc):
            return Misconfigured(
                f"TLS with {host} failed: {exc}", remedy="Check the URL, the clock and what sits between; TLS stays on"
            )
        return Transient(f"{host} is unreachable: {exc or type(exc).__name__}", remedy="Check the network and the URL")


def _is_tls_refusal(exc: BaseException) -> bool:
    causes: list[BaseException] = [exc]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    return any(isinstance(c, ssl.SSLCertVerificationError) for c in causes)


def _inflated(response: httpx.Response) -> Iterator[bytes]:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        yield from response.iter_raw()
    elif encoding == "gzip":
        yield from _gunzip(response)
    else:
        raise SourceUnusable(f"the answer comes in an encoding not asked for: {encoding[:40]}")


def _gunzip(response: httpx.Response) -> Iterator[bytes]:
    """Inflate step by step, so that a bomb is stopped early; end of stream and checksum are required."""
    inflate, received, inflated = zlib.decompressobj(31), 0, 0
    try:
        for chunk in response.iter_raw():
            received += len(chunk)
            while chunk and not inflate.eof:
                piece = inflate.decompress(chunk, 2**20)
                inflated += len(piece)
                if inflated > max(2**20, received * MAX_RATIO):
                    raise SourceUnusable("the compressed answer inflates beyond reason")
                yield piece
                chunk = inflate.unconsumed_tail
    except zlib.error as exc:
        raise Transient(f"the compressed answer is damaged: {exc}") from exc
    if not inflate.eof:
        raise Transient("the compressed answer is cut short")


def _status_error(response: httpx.Response) -> VnsyncError:
    status = response.status_code
    if response.is_redirect:
        target = httpx.URL(response.headers.get("location", "")).copy_with(query=None)
        return Misconfigured(
            f"the source redirects (HTTP {status}) to {target}", remedy="Redirects are not followed; set the final URL"
        )
    if status in (401, 403, 407):
        return NotAllowed(
            f"HTTP {status} before the API was reached",
            remedy="A proxy or gateway refuses, not the token; ask its owner",
        )
    if status == 429:
        return _too_many(response)
    if status >= 500 or status in (408, 425):
        return Transient(f"the source answers HTTP {status}", retry_after=_retry_after(response))
    return Misconfigured(f"the source answers HTTP {status}", remedy="Check host and version of the API URL (/v2.0)")


class TooManyRequests(Transient):
    """The source asks to slow down (HTTP 429)."""

    exit_code = TryLater.exit_code


def _too_many(response: httpx.Response) -> TooManyRequests:
    return TooManyRequests("the source answers HTTP 429: too many requests", retry_after=_retry_after(response))


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds asked for by `Retry-After`; a date is left to the ordinary backoff."""
    try:
        seconds = float(json.loads(response.headers.get("retry-after", "null")))
    except (TypeError, ValueError):
        return None
    return max(0.0, seconds)
