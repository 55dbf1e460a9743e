"""Choice of the manifests that a run names when it begins, so that a later head proves each line of each manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from etl.archive.layout import Layout
from etl.archive.lines import Before, Run, decoded
from etl.archive.manifest import LARGEST, LONGEST_LINE
from etl.errors import IntegrityBroken

LONGEST_RUN = timedelta(days=1)
"""Longest time after its start in which a run may still write to its unsealed manifest."""


def first_line(layout: Layout, run_id: int) -> Run:
    """First line of a run's manifest. Raises `IntegrityBroken` when it is not a first line of that run."""
    with layout.reading(layout.manifest(run_id)) as stream:
        text = stream.readline(LONGEST_LINE)
    try:
        line = decoded(text)
    except ValueError:
        line = None
    if not isinstance(line, Run) or line.run_id != run_id:
        raise IntegrityBroken(f"the archive's manifest of run {run_id} is damaged: its first line is not the run's")
    return line


def named_by_next(layout: Layout, began: datetime) -> list[Before]:
    """Manifests that a run that begins at `began` must name, in their current state, oldest first.

    The newest manifest is always named. Of the manifests from the oldest that the newest names up to the newest, each
    is named that has grown since a run named it, or that may still grow.
    """
    ids = layout.run_ids()
    if not ids:
        return []
    recent = ids[ids.index(_oldest_named(layout, ids)) :]
    current = {run_id: _current(layout, run_id) for run_id in recent}
    named = _named(layout, recent)
    return [
        before
        for run_id, (before, sealed) in current.items()
        if run_id == ids[-1] or (run_id, before.bytes) not in named or (not sealed and _young(layout, run_id, began))
    ]


def _oldest_named(layout: Layout, ids: list[int]) -> int:
    """Oldest existing run whose manifest the newest run names; the newest run itself if it names none."""
    try:
        named = [before.run_id for before in first_line(layout, ids[-1]).previous]
    except IntegrityBroken:
        named = []
    return min((run_id for run_id in named if run_id in ids), default=ids[-1])


def _current(layout: Layout, run_id: int) -> tuple[Before, bool]:
    """Current state of a manifest's complete lines, and whether the last of them is a seal."""
    text = layout.read(layout.manifest(run_id), LARGEST)
    whole = text[: text.rfind(b"\n") + 1]
    sealed = whole[whole.rfind(b"\n", 0, -1) + 1 :].startswith(b'{"kind":"seal"')
    return Before(run_id=run_id, bytes=len(whole), sha256=hashlib.sha256(whole).hexdigest()), sealed


def _named(layout: Layout, run_ids: Iterable[int]) -> set[tuple[int, int]]:
    """Pairs that these runs name: a run, and the number of bytes of its manifest."""
    out: set[tuple[int, int]] = set()
    for run_id in run_ids:
        try:
            out |= {(before.run_id, before.bytes) for before in first_line(layout, run_id).previous}
        except IntegrityBroken:
            continue
    return out


def _young(layout: Layout, run_id: int, began: datetime) -> bool:
    try:
        return began - first_line(layout, run_id).started_at < LONGEST_RUN
    except IntegrityBroken:
        return False


def proved(head: Mapping[int, int], runs: Mapping[int, Run]) -> dict[int, int]:
    """Number of proved bytes of each manifest, given the number of bytes that heads prove directly (`head`)."""
    out, left = dict(head), list(head)
    while left:
        for before in runs[run_id].previous if (run_id := left.pop()) in runs else ():
            if out.get(before.run_id, -1) < before.bytes:
                out[before.run_id] = before.bytes
                left.append(before.run_id)
    return out
