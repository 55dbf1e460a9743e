"""TCP proxy before PostgreSQL's Unix socket, which cuts the connection around a COMMIT."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
COMMITTED = b"COMMIT\x00"
PUBLISHES = b"INSERT INTO account_syncs"
MODES = ("before", "in flight", "after")
"""Moments of a cut: the server does not get the COMMIT; it gets it after the cut; it commits, its answer is lost."""


@dataclass
class Link:
    """Proxy that counts the commits, and cuts the wanted one of its kind, once.

    `publishing`: of the commits that publish an account, the `number`-th; otherwise of the other commits.
    """

    path: str
    mode: str = "none"
    publishing: bool = True
    number: int = 0
    cut: bool = False
    _seen: int = field(default=0, init=False)

    def aim(self, mode: str, *, publishing: bool, number: int) -> None:
        """Cut the `number`-th commit from now on."""
        self.mode, self.publishing, self.number = mode, publishing, number
        self.cut, self._seen = False, 0

    def serve(self, client: socket.socket) -> None:
        """Relay one connection until either side closes it."""
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            server.connect(self.path)
            deaf = threading.Event()
            down = threading.Thread(target=self._down, args=(server, client, deaf), daemon=True)
            down.start()
            self._up(client, server, deaf)
        _close(client, server)

    def _up(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        publishes = False
        while data := client.recv(65_536):
            publishes = publishes or PUBLISHES in data
            if COMMIT not in data or not self._is_it(publishes):
                server.sendall(data)
                continue
            self.cut = True
            if self.mode == "after":
                deaf.set()
                server.sendall(data)
                deaf_until_closed(client)
                return
            if self.mode == "in flight":
                server.sendall(data)
            return

    def _down(self, server: socket.socket, client: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if deaf.is_set() and COMMITTED in data:
                    break
                client.sendall(data)
        _close(client, server)

    def _is_it(self, publishes: bool) -> bool:
        if self.mode == "none" or self.cut or publishes != self.publishing:
            return False
        self._seen += 1
        return self._seen == self.number


def deaf_until_closed(client: socket.socket) -> None:
    """Read and drop the client's bytes until its connection is closed by the other thread."""
    with contextlib.suppress(OSError):
        while client.recv(65_536):
            pass


@contextlib.contextmanager
def link(path: str) -> Iterator[tuple[Link, int]]:
    """A proxy for the socket at `path`, and the loopback port on which it listens."""
    made = Link(path)
    listener = socket.create_server(("127.0.0.1", 0), backlog=32)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=made.serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield made, int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
