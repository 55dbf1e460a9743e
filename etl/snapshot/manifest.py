"""A snapshot's manifest: what was written, of which observations; and the one way to spell it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import msgspec

FORMAT_VERSION = 1
NAME = "manifest.json"
LARGEST = 32 * 1024 * 1024
"""Bytes of a manifest at most: some hundred for each account."""
MOST_VALUES = 500_000
"""Values of a manifest at most: four for each account. They take more memory than their text."""


@dataclass(frozen=True, kw_only=True)
class SeenAccount:
    """An account, the last observation that counts here, and the head of its chain then."""

    account_id: int
    observed_at: str
    chain_digest: str | None


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of the snapshot: its name, SHA-256, size, and how many rows it holds."""

    path: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`as_of`: the moment asked for; times are ISO 8601 in UTC. `notes`: how to read the formats."""

    as_of: str
    format_version: int
    vnsync_version: str
    accounts: tuple[SeenAccount, ...]
    files: tuple[File, ...]
    notes: dict[str, str]


_decoder = msgspec.json.Decoder(Manifest)


def dumps(manifest: Manifest) -> bytes:
    """The manifest's bytes; the last member is its digest, so that an edit shows."""
    return f'{_text(manifest)},\n "digest": "{sealed(manifest)}"\n}}\n'.encode()


def sealed(manifest: Manifest) -> str:
    """The manifest's digest: the SHA-256 of all that stands before it."""
    return hashlib.sha256(_text(manifest).encode()).hexdigest()


def _text(manifest: Manifest) -> str:
    return json.dumps(asdict(manifest), indent=1, ensure_ascii=False).removesuffix("\n}")


def loads(content: bytes) -> Manifest:
    """The manifest of these bytes. Raises ValueError when they are none; `dumps` tells whether they were edited."""
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError(f"no snapshot's manifest (more than {MOST_VALUES} values)")
    try:
        manifest = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(f"no snapshot's manifest ({exc})") from exc
    if manifest.format_version != FORMAT_VERSION:
        raise ValueError(f"a manifest of format {manifest.format_version}, which this vnsync does not know")
    return manifest
