"""Responses by their content: compressed, named after the SHA-256 of what was received, checked whenever read."""

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
"""Compression: a third of the time of the default, and a tenth more bytes."""
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Of every object: gzip, deflate, no name, no time, unknown system."""
LARGEST = 2**27 + 2**20
"""Bytes of a response at most: a little more than is accepted from the source."""
STEP = 2**18
"""Bytes that are inflated at once."""


def digest_of(body: bytes) -> str:
    """The name of a response."""
    return hashlib.sha256(body).hexdigest()


class Objects:
    """The responses of an archive."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put(self, body: bytes) -> str:
        """Keep a response; its digest. It is on the disk on return. What is there already is kept as it is."""
        digest = digest_of(body)
        path = self._layout.object(digest)
        with local_trouble(path):
            make_within(path.parent)
            there = path.is_file() and not path.is_symlink()
        if not there:
            write_whole(path, _packed(body))
        return digest

    def get(self, digest: str) -> bytes:
        """The response with this digest. Raises `IntegrityBroken` when it is missing, damaged or another."""
        body = io.BytesIO()
        for piece in self.checked(digest):
            body.write(piece)
        return body.getvalue()

    def checked(self, digest: str) -> Iterator[bytes]:
        """The response in pieces, of which none is to be used before the last was given out; raises as `get` does."""
        found, size = hashlib.sha256(), 0
        with self._opened(digest) as stream:
            for piece in _inflated(stream, digest):
                size += len(piece)
                if size > LARGEST:
                    raise _broken(digest, f"is damaged: it is larger than {LARGEST} bytes")
                found.update(piece)
                yield piece
        if found.hexdigest() != digest:
            raise _broken(digest, "holds other bytes than its name says")

    @contextlib.contextmanager
    def _opened(self, digest: str) -> Iterator[IO[bytes]]:
        try:
            with self._layout.reading(self._layout.object(digest)) as stream:
                yield stream
        except Missing:
            raise _broken(digest, "is missing") from None


def _packed(body: bytes) -> bytes:
    """One gzip member whose header says nothing of the time or the machine."""
    deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    trailer = zlib.crc32(body).to_bytes(4, "little") + (len(body) % 2**32).to_bytes(4, "little")
    return b"".join((HEADER, deflater.compress(body), deflater.flush(), trailer))


def _inflated(stream: IO[bytes], digest: str) -> Iterator[bytes]:
    """The bytes of one gzip member, whole and checked, a step at a time."""
    inflater, packed = zlib.decompressobj(wbits=31), stream.read(STEP)
    if not packed.startswith(HEADER):
        raise _broken(digest, "is damaged: it does not begin as it should")
    try:
        while packed and not inflater.eof:
            yield inflater.decompress(packed, STEP)
            packed = inflater.unconsumed_tail or stream.read(STEP)
    except zlib.error as exc:
        raise _broken(digest, f"is damaged ({exc})") from None
    if not inflater.eof or inflater.unused_data or packed:
        raise _broken(digest, "is damaged: it does not end as it should")


def _broken(digest: str, what: str) -> IntegrityBroken:
    return IntegrityBroken(
        f"the archived response {digest[:16]}… {what}",
        remedy=RESTORE,
    )
