"""The HTTP client and the connection under it: TLS, proxies, and a deadline that no trickle of bytes outlives."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from etl.errors import Misconfigured

_HEADERS = {"Content-Type": "application/json; charset=UTF-8", "Accept-Encoding": "gzip, identity"}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much time (seconds) and memory (bytes) one request may take.

    `whole`: from connecting to the last byte; `read`: for some next byte; `body`: of an answer, inflated (10 000
    records are about 7 MB); `ratio`: bytes that one received byte may inflate to, past the first MiB (true ones: 135).
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
    """An httpx client for `url`. Certificates are always verified; a redirect is never followed, for the token is in
    the body of every request. `tls`: whom to trust, where several clients share it (see `ssl_context`).

    HTTPS_PROXY and the like are honoured, as an operator would expect behind a company's proxy: the token goes through
    in a tunnel. Plain http, which is for loopback only, goes to no proxy: it would read the token. netrc is not read.
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
    """The certificates to trust for `url`; reading them takes longer than a request. Raises `Misconfigured`.

    Plain http, which is for loopback only, has none to verify: then no certificate at all is trusted.
    """
    if httpx.URL(url).scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = httpx.create_ssl_context()
    except OSError as exc:  # ssl.SSLError is one
        cause = f"the certificates to trust cannot be read: {exc.strerror or exc}"
        raise Misconfigured(cause, remedy="Check SSL_CERT_FILE and SSL_CERT_DIR") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class CancellableConnection:
    """The connection that requests go over, one after the other: httpx tells of it, and it can be cut from outside."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.overdue = False
        """Whether the last request was cut at its deadline."""
        self._abandoned = False

    @property
    def extensions(self) -> dict[str, Any]:
        """What a request takes along, so that httpx tells of its connection."""
        return {"trace": self._heard}

    def _heard(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.overdue or self._abandoned:
                self.cut()

    def abandon(self) -> None:
        """From another thread: end the connection, and every later one as soon as it is made."""
        self._abandoned = True
        self.cut()

    def cut(self) -> None:
        """End the connection at once, whatever it is waiting for; the next request gets a new one."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's own, which would negotiate an end

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Cut whatever goes on within the block after `seconds`: httpx's timeouts begin anew with each byte."""
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
