"""Small sealed files of the archive (tombstones, erasures): JSON objects that carry the digest of their content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

from etl.archive.layout import Layout, write_whole
from etl.archive.strict import strictly
from etl.errors import IntegrityBroken

T = TypeVar("T", bound=msgspec.Struct)
LARGEST = 32 * 2**20
"""Maximum size of such a file in bytes: enough for several hundred thousand responses."""
_encoder = msgspec.json.Encoder(order="deterministic")


class _Sealed(msgspec.Struct, forbid_unknown_fields=True):
    record: msgspec.Raw
    sha256: str


def encoded(record: msgspec.Struct) -> bytes:
    """Content of a record's file."""
    return _spelled(_encoder.encode(record))


def _spelled(text: bytes) -> bytes:
    return b'{"record":%b,"sha256":"%b"}\n' % (text, hashlib.sha256(text).hexdigest().encode())


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Write the record with its digest, atomically and durably."""
    write_whole(path, encoded(record))


def read_record(layout: Layout, path: Path, kind: type[T]) -> tuple[T, bytes]:
    """Read a record; return it and the file's content. Raises `IntegrityBroken` when the file was changed."""
    content = layout.read(path, LARGEST)
    try:
        sealed = msgspec.json.decode(content, type=_Sealed)
        if hashlib.sha256(sealed.record).hexdigest() != sealed.sha256:
            raise ValueError("its digest does not match")
        if content != _spelled(bytes(sealed.record)):
            raise ValueError("it has more content than vnsync writes")
        return strictly(sealed.record, msgspec.json.Decoder(kind)), content
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise IntegrityBroken(f"{path} is damaged: {exc}", remedy="Restore the archive from a copy") from None
