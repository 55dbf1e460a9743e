"""Heads that were kept elsewhere: which run each is of, and how far into its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etl.archive.manifest import Scan


@dataclass(frozen=True)
class ArchiveHead:
    """Digest of a manifest as `vnsync verify DIR` tells it, and whose it is; `run_id` None: any run's."""

    digest: str
    run_id: int | None = None

    def __str__(self) -> str:
        """As it is written: RUN:HEX, or HEX alone."""
        return self.digest if self.run_id is None else f"{self.run_id}:{self.digest}"


@dataclass(frozen=True)
class Found:
    """Run whose manifest begins with the `bytes` bytes that a head is the digest of."""

    run_id: int
    bytes: int


class FoundHeads:
    """The heads asked for, and those that were met in manifests; one may have been told while its run was still on."""

    def __init__(self, heads: Sequence[ArchiveHead]) -> None:
        self.heads = heads
        self._found: dict[ArchiveHead, Found] = {}

    def passed(self, scan: Scan) -> None:
        """Compare the manifest as far as it was read."""
        for head in self.heads:
            if head not in self._found and head.run_id in (None, scan.run_id) and head.digest == scan.digest():
                self._found[head] = Found(scan.run_id, scan.bytes)

    def of(self, head: ArchiveHead) -> Found | None:
        """Where a head was met; None: nowhere."""
        return self._found.get(head)

    def proved(self) -> dict[int, int]:
        """How many bytes of each run's manifest the heads are digests of."""
        out: dict[int, int] = {}
        for found in self._found.values():
            out[found.run_id] = max(found.bytes, out.get(found.run_id, 0))
        return out
