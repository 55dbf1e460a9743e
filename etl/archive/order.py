"""Which manifests a run names when it begins, so that each line of each of them comes under a later head."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from etl.archive.layout import Layout
from etl.archive.lines import Before, Run, decoded
from etl.archive.manifest import LARGEST, LONGEST_LINE
from etl.errors import IntegrityBroken

STILL_ON = timedelta(days=1)
"""A manifest without a seal may grow so long after its run began."""


def first_line(layout: Layout, run_id: int) -> Run:
    """First line of a run's manifest. Raises `IntegrityBroken` when it is none."""
    with layout.reading(layout.manifest(run_id)) as stream:
        text = stream.readline(LONGEST_LINE)
    try:
        line = decoded(text)
    except ValueError:
        line = None
    if not isinstance(line, Run) or line.run_id != run_id:
        raise IntegrityBroken(f"the archive's manifest of run {run_id} does not begin with its run")
    return line


def named_by_next(layout: Layout, began: datetime) -> list[Before]:
    """The manifests that a run that began at `began` has to name, as they are now, oldest first.

    The newest always; of those that it goes back to, or that began beside it, each that has grown since it was named,
    or may still grow.
    """
    ids = layout.run_ids()
    if not ids:
        return []
    recent = ids[ids.index(_reach(layout, ids)) :]
    there = {run_id: _as_it_is(layout, run_id) for run_id in recent}
    named = _named(layout, recent)
    return [
        before
        for run_id, (before, sealed) in there.items()
        if run_id == ids[-1] or (run_id, before.bytes) not in named or (not sealed and _young(layout, run_id, began))
    ]


def _reach(layout: Layout, ids: list[int]) -> int:
    """The oldest manifest that the newest names; the newest itself where it names none that is there."""
    try:
        named = [before.run_id for before in first_line(layout, ids[-1]).previous]
    except IntegrityBroken:
        named = []
    return min((run_id for run_id in named if run_id in ids), default=ids[-1])


def _as_it_is(layout: Layout, run_id: int) -> tuple[Before, bool]:
    """A manifest's whole lines as they are now, and whether a seal is the last of them."""
    text = layout.read(layout.manifest(run_id), LARGEST)
    whole = text[: text.rfind(b"\n") + 1]
    sealed = whole[whole.rfind(b"\n", 0, -1) + 1 :].startswith(b'{"kind":"seal"')
    return Before(run_id=run_id, bytes=len(whole), sha256=hashlib.sha256(whole).hexdigest()), sealed


def _named(layout: Layout, run_ids: Iterable[int]) -> set[tuple[int, int]]:
    """What these runs name: a run, and how many bytes of its manifest."""
    out: set[tuple[int, int]] = set()
    for run_id in run_ids:
        try:
            out |= {(before.run_id, before.bytes) for before in first_line(layout, run_id).previous}
        except IntegrityBroken:
            continue
    return out


def _young(layout: Layout, run_id: int, began: datetime) -> bool:
    try:
        return began - first_line(layout, run_id).started_at < STILL_ON
    except IntegrityBroken:
        return False


def proved(head: Mapping[int, int], runs: Mapping[int, Run]) -> dict[int, int]:
    """How many bytes of each manifest are proved, when so many of those in `head` are."""
    out, left = dict(head), list(head)
    while left:
        for before in runs[run_id].previous if (run_id := left.pop()) in runs else ():
            if out.get(before.run_id, -1) < before.bytes:
                out[before.run_id] = before.bytes
                left.append(before.run_id)
    return out
