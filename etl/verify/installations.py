"""Verification of bindings: each published sync read the installation that the warehouse was bound to at its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etl.domain.installations import origin_of
from etl.domain.verification import Problem
from etl.verify.records import Binding, Records, Sync


def check(records: Records) -> Iterator[Problem]:
    """Bindings that contradict each other, and published syncs that read another installation than the bound one."""
    bindings = records.bindings
    published = [s for syncs in records.syncs.values() for s in syncs if s.published and s.observed_at]
    if not bindings and published:
        what = "accounts are published, but no installation is on record"
        yield Problem(table="installations", key="binding_id 1", what=what)
        return
    for place, binding in enumerate(bindings):
        yield from _of_binding(records, bindings[:place], binding)
    for sync in {s.run_id: s for s in published if not _fits(records, s)}.values():
        origin = _origin(records.source_urls.get(sync.run_id)) or "no URL of an API"
        what = f"read {origin}, to which the warehouse was not bound at {sync.observed_at}"
        yield Problem(table="sync_runs", key=f"run_id {sync.run_id}", run_id=sync.run_id, what=what)


def _of_binding(records: Records, earlier: Sequence[Binding], binding: Binding) -> Iterator[Problem]:
    what = []
    if binding.binding_id != str(len(earlier) + 1):
        what.append("an earlier binding is missing")
    if earlier and binding.since < earlier[-1].since:
        what.append("is older than the previous binding")
    if _origin(binding.origin) != binding.origin:
        what.append(f"{binding.origin} is not the origin of an API")
    if (binding.run_id is None) != bool(earlier) or (binding.run_id and binding.run_id not in records.runs):
        what.append("its run is not the run of the first account")
    for each in what:
        yield Problem(table="installations", key=f"binding_id {binding.binding_id}", what=each)


def _fits(records: Records, sync: Sync) -> bool:
    """Whether a sync read the bound installation. A sync without its run passes: that is reported elsewhere."""
    origin = _origin(records.source_urls.get(sync.run_id))
    return sync.run_id not in records.runs or origin in _in_force(records.bindings, sync)


def _in_force(bindings: Sequence[Binding], sync: Sync) -> set[str]:
    """Origins that a sync may have read: the binding in force at its instant; at the instant of a change, both.

    The first account creates the first binding, so that binding also covers earlier observations.
    """
    at = sync.observed_at or ""
    ends = [later.since for later in bindings[1:]] + [at]
    starts = [at, *(later.since for later in bindings[1:])]
    return {b.origin for b, start, end in zip(bindings, starts, ends, strict=True) if start <= at <= end}


def _origin(url: str | None) -> str | None:
    try:
        return origin_of(url or "")
    except ValueError:
        return None
