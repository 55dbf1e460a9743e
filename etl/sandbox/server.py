"""HTTP server of the sandbox on a loopback port: HTTP/1.1, connections kept alive, one thread for each."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any

from etl.sandbox.api import Api
from etl.sandbox.rpc import PATH, Reply, http_reply

POLL_SECONDS = 0.02


class Server:
    """A listening sandbox. `url` is the base URL to give to clients."""

    def __init__(self, api: Api, host: str, port: int) -> None:
        self._http = _HttpServer(api, (host, port))
        self.host, self.port = host, int(self._http.server_address[1])
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}{PATH}"
        self._thread = Thread(target=self._http.serve_forever, args=(POLL_SECONDS,), name="sandbox", daemon=True)
        self._thread.start()

    def forever(self) -> None:
        """Block until the server is stopped, or an exception such as KeyboardInterrupt is raised."""
        self._thread.join()

    def wait(self, seconds: float) -> bool:
        """Block for at most `seconds`. Returns whether the server still listens."""
        self._thread.join(seconds)
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop listening, close the connections, and wait for the threads."""
        self._http.shutdown()
        self._thread.join()
        self._http.disconnect()
        self._http.server_close()


@contextmanager
def serve(api: Api, host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """A server that listens during the block; port 0 picks a free port. Raises OSError when the port is taken."""
    server = Server(api, host, port)
    try:
        yield server
    finally:
        server.stop()


class _HttpServer(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 128

    def __init__(self, api: Api, address: tuple[str, int]) -> None:
        self.api = api
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: set[Any] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def disconnect(self) -> None:
        """Close the connections that clients keep alive."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a bug as usual, but not a client that closed its connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def answer(self) -> None:
        """Read one request and send its reply in one write."""
        length = self.headers.get("Content-Length", "" if self.command == "POST" else "0")
        if not length.isdecimal():
            self.close_connection = True
            self._send(http_reply(411, b"Length Required", "text/plain"))
            return
        body = self.rfile.read(int(length))
        self._send(self.server.api.http(self.command, self.path, body))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Write no access log."""

    def _send(self, reply: Reply) -> None:
        connection = "close" if self.close_connection else "keep-alive"
        lines = [f"HTTP/1.1 {reply.status} {self.responses.get(reply.status, ('Unknown',))[0]}"]
        lines += [f"{name}: {value}" for name, value in {**reply.headers, "Connection": connection}.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self.wfile.write(reply.body)
