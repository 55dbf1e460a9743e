"""Heads that were kept elsewhere: the run of each, and how many bytes of its manifest the head covers."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from etl.archive.manifest import Scan


class ArchiveHead(Struct, frozen=True):
    """Digest of a manifest as `vnsync verify DIR` prints it, and the manifest's run; `run_id` None: any run.

    Users write it as RUN:HEX, or as HEX alone.
    """

    digest: str
    run_id: int | None = None

    def __str__(self) -> str:
        """Return RUN:HEX, or HEX alone."""
        return self.digest if self.run_id is None else f"{self.run_id}:{self.digest}"


class Found(Struct, frozen=True):
    """Run whose manifest matches a head: the head is the digest of the manifest's first `bytes` bytes."""

    run_id: int
    bytes: int


class FoundHeads:
    """Heads to look for, and those found in manifests. A head may be older than the end of its run's manifest."""

    def __init__(self, heads: Sequence[ArchiveHead]) -> None:
        self.heads = heads
        self._found: dict[ArchiveHead, Found] = {}

    def compare(self, scan: Scan) -> None:
        """Compare the heads with the part of the manifest that was read so far."""
        for head in self.heads:
            if head not in self._found and head.run_id in (None, scan.run_id) and head.digest == scan.digest():
                self._found[head] = Found(scan.run_id, scan.bytes)

    def of(self, head: ArchiveHead) -> Found | None:
        """Run that a head was found in; None if none matches."""
        return self._found.get(head)

    def proved(self) -> dict[int, int]:
        """By run: how many bytes of its manifest the heads cover."""
        out: dict[int, int] = {}
        for found in self._found.values():
            out[found.run_id] = max(found.bytes, out.get(found.run_id, 0))
        return out
