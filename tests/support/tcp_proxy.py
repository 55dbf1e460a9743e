"""TCP proxy on loopback, scripted by changes to the bytes from the server."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.raw_server import reset


@dataclass(frozen=True, kw_only=True)
class Toxic:
    """Change that a proxy makes to the bytes from the server; a field that is None changes nothing.

    `latency`: seconds before each piece; `limit_data`: bytes after which the connection ends; `reset_peer`: bytes after
    which it is reset; `timeout`: nothing passes; `slicer`: bytes in one piece.
    """

    latency: float = 0.0
    limit_data: int | None = None
    reset_peer: int | None = None
    timeout: bool = False
    slicer: int = 65536

    @property
    def most(self) -> int:
        """The count of bytes that may pass."""
        return min(n for n in (self.limit_data, self.reset_peer, 2**40) if n is not None)

    def is_over(self, passed: int) -> bool:
        """Whether the connection ends after `passed` bytes."""
        return passed >= self.most


class Proxy:
    """TCP proxy before a server; each new connection uses the next of `toxics`, and none when all are used."""

    def __init__(self, port: int) -> None:
        self.toxics: list[Toxic] = []
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/v2.0"
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

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
                client, _ = self._listener.accept()
            except OSError:
                return
            toxic = self.toxics.pop(0) if self.toxics else Toxic()
            thread = threading.Thread(target=self._carry, args=(client, toxic), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket, toxic: Toxic) -> None:
        """Relay both directions in one thread, because another thread with the socket would prevent its reset."""
        server = socket.create_connection(("127.0.0.1", self._target))
        with contextlib.suppress(OSError), client, server:
            passed = 0
            while not self._stopping.is_set() and not toxic.is_over(passed):
                ready, _, _ = select.select([client, server], [], [], 0.02)
                if client in ready:
                    piece = client.recv(65536)
                    server.sendall(piece)
                    if not piece:
                        return
                if server in ready:
                    piece = server.recv(toxic.slicer)
                    passed += self._down(client, piece, toxic, passed)
                    if not piece:
                        return
            if toxic.reset_peer is not None:
                reset(client)

    def _down(self, client: socket.socket, piece: bytes, toxic: Toxic, passed: int) -> int:
        if toxic.timeout or self._stopping.wait(toxic.latency):
            return 0
        piece = piece[: toxic.most - passed]
        client.sendall(piece)
        return len(piece)


@contextlib.contextmanager
def proxying(port: int) -> Iterator[Proxy]:
    """A proxy to a port of this machine during the block."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.stop()
