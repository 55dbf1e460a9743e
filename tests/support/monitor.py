"""A monitor that listens on loopback and keeps the requests that it receives."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Monitor:
    """`told`: path, headers and body of each request, in order; `status`: of the answers, sent once `open` is set."""

    url: str = ""
    status: int = 200
    told: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        """The paths of the requests, without their queries."""
        return [path.partition("?")[0] for path, _, _ in self.told]


@contextlib.contextmanager
def listening() -> Iterator[Monitor]:
    """A monitor that answers until the end of the block."""
    monitor = Monitor()
    monitor.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            monitor.told.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            monitor.open.wait(30)
            with contextlib.suppress(OSError):  # the client has closed the connection
                self.send_response(monitor.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Write nothing to stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monitor.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield monitor
    finally:
        monitor.open.set()
        server.shutdown()
        thread.join()
        server.server_close()
