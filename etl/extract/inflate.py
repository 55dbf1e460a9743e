"""The body of an answer, inflated within bounds, whole or an error."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator

import httpx

from etl.errors import SourceUnusable, Transient
from etl.extract.connection import Bounds

STEP = 2**20
_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "identity"})


def read_body(response: httpx.Response, bounds: Bounds, on_time: Callable[[], None]) -> bytes:
    """The whole body. `on_time` is called with each piece, and raises when it is too late for more.

    Raises `SourceUnusable` when the body is larger than allowed or comes in an encoding not asked for, `Transient`
    when it is cut or damaged.
    """
    body = io.BytesIO()
    for piece in _inflated(response, bounds):
        body.write(piece)
        if body.tell() > bounds.body:
            raise SourceUnusable(f"the answer is larger than {bounds.body // 2**20} MiB")
        on_time()
    return body.getvalue()


def _inflated(response: httpx.Response, bounds: Bounds) -> Iterator[bytes]:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return response.iter_raw()
    if encoding == "gzip":
        return _gunzip(response.iter_raw(), bounds.ratio)
    raise SourceUnusable(f"the answer comes in an encoding not asked for: {_named(encoding)}")


def _named(encoding: str) -> str:
    """What is known by name; anything else is not quoted, for a header may repeat what was sent."""
    known = all(part.strip() in _ENCODINGS for part in encoding.split(","))
    return encoding if known and len(encoding) <= 40 else "an unknown one"


def _gunzip(chunks: Iterator[bytes], ratio: int) -> Iterator[bytes]:
    """Inflate step by step, so that a bomb is stopped early; end of stream and checksum are required."""
    inflate, received, inflated = zlib.decompressobj(31), 0, 0
    try:
        for chunk in chunks:
            received += len(chunk)
            while chunk:
                if inflate.eof:  # another member of the same file: gzip allows it, anything else is damage
                    inflate = zlib.decompressobj(31)
                piece = inflate.decompress(chunk, STEP)
                inflated += len(piece)
                if inflated > max(STEP, received * ratio):
                    raise SourceUnusable("the compressed answer inflates beyond reason")
                yield piece
                chunk = inflate.unconsumed_tail or inflate.unused_data
    except zlib.error as exc:
        raise Transient(f"the compressed answer is damaged: {exc}") from exc
    if not inflate.eof:
        raise Transient("the compressed answer is cut short")
