"""Tombstones: which responses of a run were pruned, and when. The run's manifest stays."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from etl.archive.layout import Layout
from etl.archive.lines import Digest
from etl.archive.records import read_record, write_record
from etl.errors import IntegrityBroken


class Tombstone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pruned run. `removed`: digests of its removed responses, as in its manifest, in ascending order."""

    run_id: int
    pruned_at: datetime
    removed: list[Digest]


def read_tombstone(layout: Layout, run_id: int) -> Tombstone:
    """Tombstone of a run. Raises `IntegrityBroken` when it is damaged, or belongs to another run."""
    path = layout.tombstone(run_id)
    tombstone, _ = read_record(layout, path, Tombstone)
    if tombstone.run_id != run_id:
        raise IntegrityBroken(f"{path} is the tombstone of run {tombstone.run_id}", remedy="Restore the archive")
    if tombstone.removed != sorted(set(tombstone.removed)):
        raise IntegrityBroken(f"{path} lists a response twice, or out of order", remedy="Restore the archive")
    return tombstone


def write_tombstone(layout: Layout, tombstone: Tombstone) -> None:
    """Write the tombstone; it is durable on return."""
    write_record(layout.tombstone(tombstone.run_id), tombstone)


def removed_by_any(layout: Layout) -> frozenset[str]:
    """Responses that pruned runs may lack: those of any tombstone, because two runs may have had the same response.

    Raises `IntegrityBroken` when a tombstone is damaged.
    """
    return frozenset(digest for run_id in layout.pruned_ids() for digest in read_tombstone(layout, run_id).removed)
