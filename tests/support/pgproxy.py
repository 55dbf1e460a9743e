"""Proxy between vnsync and PostgreSQL that understands message frames, and cuts the connection on request."""

from __future__ import annotations

import contextlib
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Decide = Callable[[bytes, bytes], str]
"""Function from a client's message (type, body) to "pass", "drop" (cut before it arrives) or "deaf" (no answer)."""


@dataclass
class Proxy:
    """Proxy that listens in `folder` under PostgreSQL's socket name; each connection is relayed by its own threads."""

    server: Path
    decide: Decide = lambda _kind, _body: "pass"
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="vnsync-proxy-")))
    sockets: list[socket.socket] = field(default_factory=list)

    def listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / ".s.PGSQL.5432"))
        listener.listen(16)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self.server / ".s.PGSQL.5432"))
            self.sockets += [client, server]
            muted = threading.Event()
            threading.Thread(target=self._up, args=(client, server, muted), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client, muted), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        """Relay from client to server, message by message."""
        with contextlib.suppress(OSError, EOFError, struct.error):
            first = True
            while True:
                kind = b"" if first else _exactly(client, 1)
                length = _exactly(client, 4)
                body = _exactly(client, struct.unpack("!i", length)[0] - 4)
                first = False
                what = self.decide(kind, body)
                if what == "drop":
                    break
                if what == "deaf":
                    muted.set()
                server.sendall(kind + length + body)
                if what == "deaf":
                    _close(client)  # the server continues with the messages it has
                    return
        _close(client, server)

    def _down(self, server: socket.socket, client: socket.socket, muted: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if not muted.is_set():
                    client.sendall(data)
        _close(client, server)

    def cut(self) -> None:
        """Cut all connections."""
        _close(*self.sockets)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = source.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def proxy(server: Path, decide: Decide) -> Iterator[Proxy]:
    """A proxy before the server with its socket in the folder `server`."""
    made = Proxy(server, decide)
    listener = made.listen()
    try:
        yield made
    finally:
        _close(listener)
        made.cut()
        (made.folder / ".s.PGSQL.5432").unlink()
        made.folder.rmdir()
