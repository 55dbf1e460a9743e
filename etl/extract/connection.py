"""HTTP client and its connection: TLS, proxies, and a deadline that also ends an answer that trickles in slowly."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from msgspec import Struct

from etl.errors import Misconfigured

_HEADERS = {"Content-Type": "application/json; charset=UTF-8", "Accept-Encoding": "gzip, identity"}


class Bounds(Struct, frozen=True, kw_only=True):
    """Limits of one request in time (seconds) and memory (bytes).

    `whole`: from connecting to the last byte; `read`: until the next byte; `body`: of an answer, inflated (10 000
    records are about 7 MB); `ratio`: bytes that one received byte may inflate to, after the first MiB (usual: 135).
    """

    connect: float = 10.0
    read: float = 60.0
    whole: float = 120.0
    body: int = 48 * 2**20
    ratio: int = 200


def new_client(
    transport: httpx.BaseTransport | None = None,
    *,
    url: str = "https://",
    bounds: Bounds | None = None,
    tls: ssl.SSLContext | None = None,
) -> httpx.Client:
    """An httpx client for `url`. It always verifies certificates and never follows a redirect, because the token is in
    the body of every request. `tls`: the certificates to trust, if several clients share them (see `ssl_context`).

    HTTPS_PROXY and similar variables are honoured: through a company's proxy the token passes in an encrypted tunnel.
    Plain http, which is for loopback only, uses no proxy, because a proxy could read the token. netrc is not read.
    Raises `Misconfigured` when the environment names a proxy or certificates that cannot be used.
    """
    bounds = bounds or Bounds()
    timeout = httpx.Timeout(bounds.read, connect=bounds.connect)
    plain = httpx.URL(url).scheme == "http"
    try:
        return httpx.Client(
            transport=transport,
            verify=True if transport else tls or ssl_context(url),
            trust_env=not plain,
            timeout=timeout,
            follow_redirects=False,
            headers=_HEADERS,
        )
    except (ValueError, ImportError, httpx.InvalidURL) as exc:
        cause = f"a proxy that the environment names cannot be used: {type(exc).__name__}"
        raise Misconfigured(
            cause, remedy="Check HTTPS_PROXY, ALL_PROXY and NO_PROXY; http:// proxies are supported"
        ) from exc


def ssl_context(url: str) -> ssl.SSLContext:
    """TLS context with the certificates to trust for `url`. Reading them takes longer than a request.

    Plain http, which is for loopback only, verifies none: its context trusts no certificate. Raises `Misconfigured`.
    """
    if httpx.URL(url).scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = httpx.create_ssl_context()
    except OSError as exc:  # includes ssl.SSLError
        cause = f"the certificates to trust cannot be read: {exc.strerror or exc}"
        raise Misconfigured(cause, remedy="Check SSL_CERT_FILE and SSL_CERT_DIR") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class CancellableConnection:
    """Connection for one request after another, which another thread can cut. httpx reports it through its trace."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.overdue = False
        """Whether the last request was cut at its deadline."""
        self._abandoned = False

    @property
    def extensions(self) -> dict[str, Any]:
        """Extensions of a request, by which httpx reports its connection."""
        return {"trace": self._traced}

    def _traced(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.overdue or self._abandoned:
                self.cut()

    def abandon(self) -> None:
        """End the connection, and every later one as soon as it is opened. Called from another thread."""
        self._abandoned = True
        self.cut()

    def cut(self) -> None:
        """End the connection at once, even while it waits for bytes. The next request opens a new one."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # the TLS shutdown would wait for the other side

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Cut the connection if the block takes longer than `seconds`: httpx's timeouts restart with each byte."""
        self.overdue = False
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self.overdue = True
        self.cut()
