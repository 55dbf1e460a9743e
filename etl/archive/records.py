"""Small sealed files of the archive: JSON objects that carry the digest of their content."""

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
"""Bytes of such a file: some hundred thousand responses."""
_encoder = msgspec.json.Encoder(order="deterministic")


class _Sealed(msgspec.Struct, forbid_unknown_fields=True):
    record: msgspec.Raw
    sha256: str


def encoded(record: msgspec.Struct) -> bytes:
    """Content of the file of a record."""
    return _spelled(_encoder.encode(record))


def _spelled(text: bytes) -> bytes:
    return b'{"record":%b,"sha256":"%b"}\n' % (text, hashlib.sha256(text).hexdigest().encode())


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Write the record with its digest, whole and durable."""
    write_whole(path, encoded(record))


def read_record(layout: Layout, path: Path, kind: type[T]) -> tuple[T, bytes]:
    """Record in a file, and the file's content. Raises `IntegrityBroken` when it is not what was written."""
    content = layout.read(path, LARGEST)
    try:
        sealed = msgspec.json.decode(content, type=_Sealed)
        if hashlib.sha256(sealed.record).hexdigest() != sealed.sha256:
            raise ValueError("its digest is another")
        if content != _spelled(bytes(sealed.record)):
            raise ValueError("it says more than vnsync writes")
        return strictly(sealed.record, msgspec.json.Decoder(kind)), content
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise IntegrityBroken(f"{path} is damaged: {exc}", remedy="Restore the archive from a copy") from None
