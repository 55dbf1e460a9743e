"""Pruning: responses of old runs are removed, manifests stay, and a tombstone for each run lists what was removed."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from etl.archive.checking import refuse_damaged
from etl.archive.erasures import read_erasures
from etl.archive.layout import Layout, existing, local_trouble
from etl.archive.lines import Response
from etl.archive.manifest import Scan
from etl.archive.order import first_line
from etl.archive.tombstones import Tombstone, read_tombstone, write_tombstone

GRACE_PERIOD = timedelta(days=1)
"""Age below which a response that no manifest names is kept, because a run may be about to name it."""


class Pruned(Struct, frozen=True, kw_only=True):
    """Result of pruning: the pruned runs, the number of removed responses, and their size on the disk in bytes."""

    runs: tuple[int, ...] = ()
    responses: int = 0
    bytes: int = 0


def prune(folder: Path, *, before: datetime, now: datetime) -> Pruned:
    """Remove the responses of the runs that began before `before`, unless another run needs them.

    The newest run keeps its responses. All manifests stay, so that heads still prove them. Raises `IntegrityBroken`
    for a damaged archive, because pruning could hide the damage. May be repeated after a crash.
    """
    layout = existing(folder)
    refuse_damaged(folder)
    ids, pruned = layout.run_ids(), set(layout.pruned_ids())
    begun = {run_id: first_line(layout, run_id).started_at for run_id in ids if run_id not in pruned}
    old = sorted((run_id for run_id in begun if begun[run_id] < before and run_id != ids[-1]), key=begun.__getitem__)
    needed = {digest for run_id in begun if run_id not in old for digest in _digests(layout, run_id)}
    for run_id in old:  # the oldest first, so that a crash leaves a valid archive
        removed = sorted(_digests(layout, run_id) - needed)
        write_tombstone(layout, Tombstone(run_id=run_id, pruned_at=now, removed=removed))
    erasures = read_erasures(layout)
    pruned_objects = {erasures.now(d) for run_id in layout.pruned_ids() for d in read_tombstone(layout, run_id).removed}
    needed_objects = {erasures.now(digest) for digest in needed}
    removed_objects, size = _remove(layout, pruned_objects - needed_objects, needed_objects, now)
    return Pruned(runs=tuple(sorted(old)), responses=removed_objects, bytes=size)


def _digests(layout: Layout, run_id: int) -> set[str]:
    return {line.sha256 for line in Scan(layout, run_id) if isinstance(line, Response) and line.sha256 is not None}


def _remove(layout: Layout, unneeded: set[str], needed: set[str], now: datetime) -> tuple[int, int]:
    """Remove responses of pruned runs and leftovers of crashes; return their number and their size in bytes."""
    removed = size = 0
    for digest in list(layout.digests()):
        path = layout.object(digest)
        with contextlib.suppress(FileNotFoundError), local_trouble(path):
            found = path.stat()
            leftover = digest not in needed and now.timestamp() - found.st_mtime > GRACE_PERIOD.total_seconds()
            if digest in unneeded or leftover:
                path.unlink()
                removed, size = removed + 1, size + found.st_size
    return removed, size
