"""What stays of a run that was pruned: when, and the digests by which those that follow it know it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from etl.archive.layout import Layout
from etl.archive.lines import Before, Publishes
from etl.archive.records import read_record, write_record


class Tombstone(Struct, frozen=True, kw_only=True):
    """A pruned run. `digests`: of its whole manifest, and of the beginnings that other runs named.

    `published`: what it published, with the chain's digests; `removed`: the responses that went with it.
    """

    run_id: int
    started_at: datetime
    pruned_at: datetime
    previous: Before | None
    digests: list[str]
    published: list[Publishes]
    removed: list[str]


def read_tombstone(layout: Layout, run_id: int) -> Tombstone:
    """A run's tombstone. Raises `IntegrityBroken` when it is damaged."""
    return read_record(layout.tombstone(run_id), Tombstone)


def write_tombstone(layout: Layout, tombstone: Tombstone) -> None:
    """Put up a tombstone."""
    write_record(layout.tombstone(tombstone.run_id), tombstone)
