"""Taking old runs out of an archive: a tombstone stays of each, and the rest stays verifiable."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from etl.archive.checking import refuse_damaged
from etl.archive.layout import Layout, existing, local_trouble, sync_folder
from etl.archive.manifest import Manifest, confirmed, read_bytes, read_manifest
from etl.archive.tombstones import Tombstone, write_tombstone

LEFT_ALONE = timedelta(days=1)
"""A response that no manifest names may be one that a run is just about to name; so long it is not touched."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What was taken out: runs, responses and their bytes as they lay on the disk."""

    runs: tuple[int, ...] = ()
    responses: int = 0
    bytes: int = 0


def prune(folder: Path, *, before: datetime, now: datetime) -> Pruned:
    """Take out the runs that began before `before`, and the responses that only they need; the newest run stays.

    Raises `IntegrityBroken` when the archive is not whole: what is damaged shall not be buried. May be repeated after a
    crash.
    """
    layout = existing(folder)
    refuse_damaged(folder)
    manifests = [read_manifest(layout, run_id) for run_id in layout.run_ids()]
    old = [m for m in manifests[:-1] if m.run.started_at < before]
    kept = [m for m in manifests if m not in old]
    needed = {digest for m in kept for digest in m.digests}
    _bury(layout, manifests, old, needed, now)
    removed, size = _remove(layout, {d for m in old for d in m.digests} - needed, needed, now)
    return Pruned(runs=tuple(m.run.run_id for m in old), responses=removed, bytes=size)


def _bury(layout: Layout, manifests: list[Manifest], old: list[Manifest], needed: set[str], now: datetime) -> None:
    published = dict(zip((m.run.run_id for m in manifests), confirmed(manifests), strict=True))
    for manifest in old:
        run_id = manifest.run.run_id
        whole = hashlib.sha256(read_bytes(layout, run_id)).hexdigest()
        named = {m.run.previous.sha256 for m in manifests if m.run.previous and m.run.previous.run_id == run_id}
        tombstone = Tombstone(
            run_id=run_id,
            started_at=manifest.run.started_at,
            pruned_at=now,
            previous=manifest.run.previous,
            digests=sorted({whole, *named}),
            published=list(published[run_id].values()),
            removed=sorted(manifest.digests - needed),
        )
        write_tombstone(layout, tombstone)
        with local_trouble(layout.manifest(run_id)):
            layout.manifest(run_id).unlink()
    with local_trouble(layout.runs):
        sync_folder(layout.runs)


def _remove(layout: Layout, unneeded: set[str], needed: set[str], now: datetime) -> tuple[int, int]:
    """Remove responses of pruned runs, and what crashes left; how many, and how many bytes they took."""
    removed = size = 0
    for digest in list(layout.digests()):
        path = layout.object(digest)
        with contextlib.suppress(FileNotFoundError), local_trouble(path):
            found = path.stat()
            left = digest not in needed and now.timestamp() - found.st_mtime > LEFT_ALONE.total_seconds()
            if digest in unneeded or left:
                path.unlink()
                removed, size = removed + 1, size + found.st_size
    return removed, size
