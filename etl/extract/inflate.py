"""Body of an answer: inflated within limits, and returned whole or not at all."""

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
    """The whole body. `on_time` is called after each piece, and raises when the deadline has passed.

    Raises `SourceUnusable` if the body is larger than allowed or has an encoding that was not asked for, `Transient`
    if it is cut or damaged.
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
    """The name of a known encoding; another one is not quoted, because a header may repeat a secret that was sent."""
    known = all(part.strip() in _ENCODINGS for part in encoding.split(","))
    return encoding if known and len(encoding) <= 40 else "an unknown one"


def _gunzip(chunks: Iterator[bytes], ratio: int) -> Iterator[bytes]:
    """Inflate in steps, so that a compression bomb is stopped early. End of stream and checksum are required."""
    inflate, received, inflated = zlib.decompressobj(31), 0, 0
    try:
        for chunk in chunks:
            received += len(chunk)
            while chunk:
                if inflate.eof:  # gzip allows several members in one file; anything else here is damage
                    inflate = zlib.decompressobj(31)
                piece = inflate.decompress(chunk, STEP)
                inflated += len(piece)
                if inflated > max(STEP, received * ratio):
                    raise SourceUnusable("the compressed answer inflates to far more than it should")
                yield piece
                chunk = inflate.unconsumed_tail or inflate.unused_data
    except zlib.error as exc:
        raise Transient(f"the compressed answer is damaged: {exc}") from exc
    if not inflate.eof:
        raise Transient("the compressed answer is cut short")
