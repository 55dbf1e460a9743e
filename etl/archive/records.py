"""Small sealed files of the archive: JSON objects that carry the digest of what they say."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from etl.archive.layout import local_trouble, write_whole
from etl.errors import IntegrityBroken

T = TypeVar("T", bound=msgspec.Struct)
_encoder = msgspec.json.Encoder(order="deterministic")


class _Sealed(msgspec.Struct, forbid_unknown_fields=True):
    """What such a file holds."""

    record: Any
    sha256: str


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Write the record with its digest, whole and durable."""
    said = msgspec.to_builtins(record)
    digest = hashlib.sha256(_encoder.encode(said)).hexdigest()
    write_whole(path, _encoder.encode({"record": said, "sha256": digest}) + b"\n")


def read_record(path: Path, kind: type[T]) -> T:
    """The record in a file. Raises `IntegrityBroken` when it is not what was written."""
    with local_trouble(path):
        text = path.read_bytes()
    try:
        found = msgspec.json.decode(text, type=_Sealed)
        if hashlib.sha256(_encoder.encode(found.record)).hexdigest() != found.sha256:
            raise ValueError("its digest is another")
        return msgspec.convert(found.record, kind)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as exc:
        raise IntegrityBroken(f"{path} is damaged: {exc}", remedy="Restore the archive from a copy") from None
