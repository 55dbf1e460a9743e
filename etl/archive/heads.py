"""Heads that were kept elsewhere: which run each is of, also after the run was pruned or erased from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from etl.archive.erasures import Erasure
from etl.archive.tombstones import Tombstone


@dataclass(frozen=True)
class ArchiveHead:
    """The digest of a manifest as `vnsync verify DIR` told it, and whose it is; `run_id` None: any run's."""

    digest: str
    run_id: int | None = None

    def __str__(self) -> str:
        """As it is written: RUN:HEX, or HEX alone."""
        return self.digest if self.run_id is None else f"{self.run_id}:{self.digest}"


@dataclass(frozen=True)
class KnownManifests:
    """All digests by which an archive knows its runs: from manifests, tombstones and records of erasures."""

    manifests: Mapping[int, bytes]
    tombstones: Mapping[int, Tombstone]
    erasures: Mapping[int, Sequence[Erasure]]

    def run_of(self, head: ArchiveHead) -> int | None:
        """The run that the head is of; None when it is of none here."""
        runs = self.manifests.keys() | self.tombstones.keys() | self.erasures.keys()
        for run_id in sorted(runs if head.run_id is None else runs & {head.run_id}, reverse=True):
            if head.digest in self._digests(run_id):
                return run_id
        return None

    def _digests(self, run_id: int) -> Iterator[str]:
        yield from _beginnings(self.manifests.get(run_id, b"").splitlines(keepends=True))
        if run_id in self.tombstones:
            yield from self.tombstones[run_id].digests
        for erasure in self.erasures.get(run_id, ()):
            yield from (*erasure.digests_before, erasure.manifest_after)


def _beginnings(lines: Iterable[bytes]) -> Iterator[str]:
    """Of the manifest up to each of its lines: a head may have been told while its run was still on."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
        yield digest.hexdigest()
