"""HTTP server that is scripted byte by byte, for answers that well-behaved servers never send."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from etl.errors import VnsyncError
from etl.extract.connection import Bounds
from etl.extract.http import HttpClient, new_client
from tests.support.rig import FakeClock
from tests.support.secrets import CANARY, in_exception

SECRET = b'{"params":{"access_token":"%b"}}' % CANARY.encode()
TEXT = b'{"jsonrpc":"2.0","id":1,"result":{"data":[],"metadata":{"total_items":0}}}'
GZIP = b"Content-Encoding: gzip"


class Server:
    """Answers each connection with the next script: the bytes to send after one request, then a close."""

    def __init__(self, *replies: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v2.0"
        self.heard: list[bytes] = []
        self._replies = list(replies)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for reply in self._replies:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.heard.append(_request(connection))
                try:
                    connection.sendall(reply)
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(5)
                    while connection.recv(65536):
                        pass
                except OSError:
                    continue

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    (length,) = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(body: bytes, *headers: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    """A response with its true or the given Content-Length."""
    size = b"Content-Length: %d" % (len(body) if length is None else length)
    return b"\r\n".join([b"HTTP/1.1 " + status, size, *headers, b"Connection: close", b"", body])


@contextmanager
def posting(*replies: bytes, bounds: Bounds | None = None) -> Iterator[tuple[Callable[[], bytes], Server]]:
    """A function that posts the secret to a server with these replies, and the server."""
    server = Server(*replies)
    try:
        with new_client() as client:
            http_client = HttpClient(client, server.url, FakeClock(), bounds=bounds)
            yield lambda: http_client.post(SECRET), server
    finally:
        server.close()


def raised(*replies: bytes, bounds: Bounds | None = None) -> VnsyncError:
    """The error of one post with these replies."""
    with posting(*replies, bounds=bounds) as (post, _), pytest.raises(VnsyncError) as caught:
        post()
    assert not in_exception(caught.value)
    return caught.value
