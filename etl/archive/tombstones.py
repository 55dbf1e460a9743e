"""Tombstones: which responses of a run were pruned, and when. The run's manifest stays."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from etl.archive.layout import Layout
from etl.archive.lines import Digest
from etl.archive.records import read_record, write_record
from etl.errors import IntegrityBroken


class Tombstone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pruned run. `removed`: the digests that its manifest has of the responses that went, in ascending order."""

    run_id: int
    pruned_at: datetime
    removed: list[Digest]


def read_tombstone(layout: Layout, run_id: int) -> Tombstone:
    """Tombstone of a run. Raises `IntegrityBroken` when it is damaged, or another run's."""
    path = layout.tombstone(run_id)
    tombstone, _ = read_record(layout, path, Tombstone)
    if tombstone.run_id != run_id:
        raise IntegrityBroken(f"{path} is the tombstone of run {tombstone.run_id}", remedy="Restore the archive")
    if tombstone.removed != sorted(set(tombstone.removed)):
        raise IntegrityBroken(f"{path} lists a response twice, or out of order", remedy="Restore the archive")
    return tombstone


def write_tombstone(layout: Layout, tombstone: Tombstone) -> None:
    """Write the tombstone, durable on return."""
    write_record(layout.tombstone(tombstone.run_id), tombstone)


def removed_by_any(layout: Layout) -> frozenset[str]:
    """Responses that lines of pruned runs may lack: what any tombstone lists, for two runs may have had the same one.

    Raises `IntegrityBroken` when a tombstone is damaged.
    """
    return frozenset(digest for run_id in layout.pruned_ids() for digest in read_tombstone(layout, run_id).removed)
