"""Pruning: the responses of old runs are taken out, their manifests stay, and a tombstone says what is gone."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from etl.archive.checking import refuse_damaged
from etl.archive.erasures import read_erasures
from etl.archive.layout import Layout, existing, local_trouble
from etl.archive.lines import Response
from etl.archive.manifest import Scan
from etl.archive.order import first_line
from etl.archive.tombstones import Tombstone, read_tombstone, write_tombstone

LEFT_ALONE = timedelta(days=1)
"""A response that no manifest names may be one that a run is just about to name; so long it is not touched."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What was taken out: of which runs, how many responses, and their bytes as they lay on the disk."""

    runs: tuple[int, ...] = ()
    responses: int = 0
    bytes: int = 0


def prune(folder: Path, *, before: datetime, now: datetime) -> Pruned:
    """Take out the responses of the runs that began before `before`, where no other run needs them.

    The newest run keeps its own; all manifests stay, so that heads go on proving them. Raises `IntegrityBroken` when
    the archive is not whole: what is damaged shall not be buried. May be repeated after a crash.
    """
    layout = existing(folder)
    refuse_damaged(folder)
    ids, pruned = layout.run_ids(), set(layout.pruned_ids())
    begun = {run_id: first_line(layout, run_id).started_at for run_id in ids if run_id not in pruned}
    old = sorted((run_id for run_id in begun if begun[run_id] < before and run_id != ids[-1]), key=begun.__getitem__)
    needed = {digest for run_id in begun if run_id not in old for digest in _digests(layout, run_id)}
    for run_id in old:  # the oldest first: what a crash leaves of this is whole, too
        removed = sorted(_digests(layout, run_id) - needed)
        write_tombstone(layout, Tombstone(run_id=run_id, pruned_at=now, removed=removed))
    erasures = read_erasures(layout)
    gone = {erasures.now(d) for run_id in layout.pruned_ids() for d in read_tombstone(layout, run_id).removed}
    there = {erasures.now(digest) for digest in needed}
    removed_objects, size = _remove(layout, gone - there, there, now)
    return Pruned(runs=tuple(sorted(old)), responses=removed_objects, bytes=size)


def _digests(layout: Layout, run_id: int) -> set[str]:
    return {line.sha256 for line in Scan(layout, run_id) if isinstance(line, Response) and line.sha256 is not None}


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
