"""Response objects: compressed files, named after the SHA-256 of the received bytes and verified at each read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import IO

from etl.archive.layout import RESTORE, Layout, Missing, local_trouble, make_within, write_whole
from etl.errors import IntegrityBroken

LEVEL = 3
"""Compression level: a third of the default's time, and a tenth more bytes."""
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""First bytes of every object: gzip, deflate, no name, no time, unknown system."""
LARGEST = 2**27 + 2**20
"""Maximum size of a response in bytes: a little more than is accepted from the source."""
STEP = 2**18
"""Number of bytes that are inflated at once."""


def digest_of(body: bytes) -> str:
    """Digest of a response's body, which names its object."""
    return hashlib.sha256(body).hexdigest()


class Objects:
    """Response objects of an archive."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put(self, body: bytes) -> str:
        """Store a response and return its digest; it is durable on return. An existing object is not written again."""
        digest = digest_of(body)
        path = self._layout.object(digest)
        with local_trouble(path):
            make_within(path.parent)
            exists = path.is_file() and not path.is_symlink()
        if not exists:
            write_whole(path, _packed(body))
        return digest

    def get(self, digest: str) -> bytes:
        """Response with this digest. Raises `IntegrityBroken` when it is missing, damaged or does not match."""
        body = io.BytesIO()
        for piece in self.checked(digest):
            body.write(piece)
        return body.getvalue()

    def checked(self, digest: str) -> Iterator[bytes]:
        """Response in pieces. Callers must not rely on any piece before the iteration has ended; raises as `get`."""
        found, size = hashlib.sha256(), 0
        with self._opened(digest) as stream:
            for piece in _inflated(stream, digest):
                size += len(piece)
                if size > LARGEST:
                    raise _broken(digest, f"is damaged: it is larger than {LARGEST} bytes")
                found.update(piece)
                yield piece
        if found.hexdigest() != digest:
            raise _broken(digest, "does not have the digest that its name says")

    @contextlib.contextmanager
    def _opened(self, digest: str) -> Iterator[IO[bytes]]:
        try:
            with self._layout.reading(self._layout.object(digest)) as stream:
                yield stream
        except Missing:
            raise _broken(digest, "is missing") from None


def _packed(body: bytes) -> bytes:
    """Compress into one gzip member whose header has neither time nor system, so equal bodies give equal files."""
    deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    trailer = zlib.crc32(body).to_bytes(4, "little") + (len(body) % 2**32).to_bytes(4, "little")
    return b"".join((HEADER, deflater.compress(body), deflater.flush(), trailer))


def _inflated(stream: IO[bytes], digest: str) -> Iterator[bytes]:
    """Decompress one complete gzip member step by step, and verify its end."""
    inflater, packed = zlib.decompressobj(wbits=31), stream.read(STEP)
    if not packed.startswith(HEADER):
        raise _broken(digest, "is damaged: its header is wrong")
    try:
        while packed and not inflater.eof:
            yield inflater.decompress(packed, STEP)
            packed = inflater.unconsumed_tail or stream.read(STEP)
    except zlib.error as exc:
        raise _broken(digest, f"is damaged ({exc})") from None
    if not inflater.eof or inflater.unused_data or packed:
        raise _broken(digest, "is damaged: its end is wrong")


def _broken(digest: str, problem: str) -> IntegrityBroken:
    return IntegrityBroken(
        f"the archived response {digest[:16]}… {problem}",
        remedy=RESTORE,
    )
