"""Manifest of a snapshot: its files, the observations that they are based on, and the manifest's one spelling."""

from __future__ import annotations

import hashlib
import json

import msgspec
from msgspec import Struct

FORMAT_VERSION = 1
NAME = "manifest.json"
LARGEST = 32 * 1024 * 1024
"""Maximum size of a manifest in bytes: an account takes about a hundred."""
MOST_VALUES = 500_000
"""Maximum number of values in a manifest: an account has four. Values take more memory than their text."""


class SeenAccount(Struct, frozen=True, kw_only=True):
    """Account, its last observation that the snapshot includes, and the head of its chain at that observation."""

    account_id: int
    observed_at: str
    chain_digest: str | None


class File(Struct, frozen=True, kw_only=True):
    """File of the snapshot: its name, SHA-256, size and number of rows."""

    path: str
    sha256: str
    bytes: int
    rows: int


class DescribedTable(Struct, frozen=True, kw_only=True):
    """What a table of the snapshot and each of its columns mean, in a sentence each."""

    name: str
    description: str
    columns: dict[str, str]


class Manifest(Struct, frozen=True, kw_only=True):
    """Manifest of a snapshot. `as_of`: the requested instant; times are ISO 8601 in UTC. `notes`: rules of formats."""

    as_of: str
    format_version: int
    vnsync_version: str
    accounts: tuple[SeenAccount, ...]
    files: tuple[File, ...]
    tables: tuple[DescribedTable, ...]
    notes: dict[str, str]


_decoder = msgspec.json.Decoder(Manifest)


def dumps(manifest: Manifest) -> bytes:
    """Encode a manifest; its last member is its digest, so that an edit can be found."""
    return f'{_text(manifest)},\n "digest": "{sealed(manifest)}"\n}}\n'.encode()


def sealed(manifest: Manifest) -> str:
    """Digest of a manifest: the SHA-256 of all bytes before the member `digest`."""
    return hashlib.sha256(_text(manifest).encode()).hexdigest()


def _text(manifest: Manifest) -> str:
    return json.dumps(msgspec.to_builtins(manifest), indent=1, ensure_ascii=False).removesuffix("\n}")


def loads(content: bytes) -> Manifest:
    """Decode a manifest. Raises `ValueError` when it is not one; an edit shows only by comparing with `dumps`."""
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError(f"not the manifest of a snapshot (more than {MOST_VALUES} values)")
    try:
        manifest = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(f"not the manifest of a snapshot ({exc})") from exc
    if manifest.format_version != FORMAT_VERSION:
        raise ValueError(f"its format {manifest.format_version} is unknown to this version of vnsync")
    return manifest
