"""Raw server that may misbehave in every byte: a test's script decides what happens on each connection."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from etl.sandbox.api import Api

PATIENCE = 30.0
"""Seconds after which a connection ends that a test has not closed."""


@dataclass(frozen=True)
class Request:
    """One HTTP request as received."""

    head: bytes
    body: bytes

    @property
    def decoded(self) -> dict[str, Any]:
        """The JSON-RPC request."""
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded

    @property
    def method(self) -> str:
        """The JSON-RPC method."""
        return str(self.decoded["method"])


def message(body: bytes, *headers: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    """An HTTP response with its true or the given Content-Length; -1 omits it."""
    size = [] if length == -1 else [b"Content-Length: %d" % (len(body) if length is None else length)]
    return b"\r\n".join([b"HTTP/1.1 " + status, *size, *headers, b"", body])


class Hangup(Exception):
    """Ends the connection: the script has finished."""


@dataclass
class Exchange:
    """One request and its connection."""

    request: Request
    connection: socket.socket
    api: Api | None
    stopping: threading.Event

    def body(self) -> bytes:
        """The sandbox's body of the answer."""
        assert self.api is not None
        return self.api.http("POST", "/v2.0", self.request.body).body

    def result(self, data: object, **metadata: Any) -> bytes:
        """The body of an answer to this request with the given data."""
        answer = {"data": data, "metadata": metadata}
        return json.dumps({"jsonrpc": "2.0", "id": self.request.decoded["id"], "result": answer}).encode()

    def send(self, data: bytes) -> None:
        """Send these bytes."""
        self.connection.sendall(data)

    def close(self, data: bytes = b"") -> None:
        """Send these bytes, then close the connection."""
        self.send(data)
        raise Hangup

    def reset(self, data: bytes = b"") -> None:
        """Send these bytes, then reset the connection."""
        self.send(data)
        reset(self.connection)
        raise Hangup

    def hold(self) -> None:
        """Send nothing until the client closes the connection or the server stops."""
        while not self.pause(0.02):
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(65536):
                    break
        raise Hangup

    def pause(self, seconds: float) -> bool:
        """Wait. Returns True when the server stops meanwhile."""
        self.connection.settimeout(0.02)
        return self.stopping.wait(seconds)


Script = Callable[[Exchange], None]


def honest(exchange: Exchange) -> None:
    """Send the sandbox's answer."""
    exchange.send(message(exchange.body(), b"Content-Type: application/json"))


def replying(*args: Any, **kwargs: Any) -> Script:
    """A script that sends `message(...)` for any request, then closes."""
    return lambda exchange: exchange.close(message(*args, **kwargs))


@dataclass
class RawServer:
    """Server on loopback; `script`, which may be exchanged, answers every request on every connection."""

    api: Api | None = None
    script: Script = honest
    tls: ssl.SSLContext | None = None
    heard: list[Request] = field(default_factory=list)
    connections: int = 0
    received: int = 0
    """Count of all received bytes: nothing may ever be sent to a host that is not the API."""

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v2.0"
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def strike(self, script: Script, *, when: Callable[[Request], bool] = lambda _: True, times: int = 10**9) -> None:
        """Answer truthfully, except for the first `times` requests for which `when` is true: `script` answers those."""
        left = [times]

        def choose(exchange: Exchange) -> None:
            if left[0] > 0 and when(exchange.request):
                left[0] -= 1
                script(exchange)
            else:
                honest(exchange)

        self.script = choose

    def behave(self) -> None:
        """Answer truthfully again."""
        self.script = honest

    def stop(self) -> None:
        """Stop listening and end all connections."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        with contextlib.suppress(OSError, Hangup), contextlib.closing(self._secured(connection)) as secured:
            for request in self._requests(secured):
                self.heard.append(request)
                self.script(Exchange(request, secured, self.api, self._stopping))
                secured.settimeout(PATIENCE)

    def _secured(self, connection: socket.socket) -> socket.socket:
        return connection if self.tls is None else self.tls.wrap_socket(connection, server_side=True)

    def _requests(self, connection: socket.socket) -> Iterator[Request]:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                data += self._more(connection)
            head, _, data = data.partition(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            length = int(lengths[0].split(b":")[1]) if lengths else 0
            while len(data) < length:
                data += self._more(connection)
            body, data = data[:length], data[length:]
            yield Request(head, body)

    def _more(self, connection: socket.socket) -> bytes:
        piece = connection.recv(65536)
        if not piece:
            raise Hangup
        self.received += len(piece)
        return piece


def reset(connection: socket.socket) -> None:
    """Reset a connection (RST)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextlib.contextmanager
def serving(api: Api | None = None, script: Script = honest, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """A raw server that runs during the block."""
    server = RawServer(api, script, tls)
    try:
        yield server
    finally:
        server.stop()
