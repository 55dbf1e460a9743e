"""Responses by their content: compressed, named after the SHA-256 of what was received, checked whenever read."""

from __future__ import annotations

import hashlib
import zlib

from etl.archive.layout import Layout, local_trouble, write_whole
from etl.errors import IntegrityBroken

LEVEL = 3
"""Compression: a third of the time of the default, and a tenth more bytes."""
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Of every object: gzip, deflate, no name, no time, unknown system."""
LARGEST = 2**28
"""Bytes of a response at most: twice what is accepted from the source."""


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
            there = path.exists()
        if not there:
            write_whole(path, _packed(body))
        return digest

    def get(self, digest: str) -> bytes:
        """The response with this digest. Raises `IntegrityBroken` when it is missing, damaged or another."""
        path = self._layout.object(digest)
        try:
            with local_trouble(path):
                packed = path.read_bytes()
        except Exception as exc:
            if isinstance(exc.__cause__, FileNotFoundError):
                raise _broken(digest, "is missing") from None
            raise
        body = _inflated(packed, digest)
        if digest_of(body) != digest:
            raise _broken(digest, "holds other bytes than its name says")
        return body


def _packed(body: bytes) -> bytes:
    """One gzip member whose header says nothing of the time or the machine."""
    deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    trailer = zlib.crc32(body).to_bytes(4, "little") + (len(body) % 2**32).to_bytes(4, "little")
    return b"".join((HEADER, deflater.compress(body), deflater.flush(), trailer))


def _inflated(packed: bytes, digest: str) -> bytes:
    """The bytes of one gzip member, whole and checked; never more than a response can have."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        body = inflater.decompress(packed, LARGEST)
    except zlib.error as exc:
        raise _broken(digest, f"is damaged ({exc})") from None
    if not inflater.eof or inflater.unused_data or not packed.startswith(HEADER):
        raise _broken(digest, "is damaged: it does not begin and end as it should")
    return body


def _broken(digest: str, what: str) -> IntegrityBroken:
    return IntegrityBroken(
        f"the archived response {digest[:16]}… {what}",
        remedy="Restore the archive from a copy",
    )
