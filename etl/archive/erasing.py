"""Erasure of one number's personal content from archived responses; it is recorded, and the rest stays provable."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field

from etl.archive.checking import refuse_damaged
from etl.archive.erasures import Erasure, Replaced, read_erasures, write_erasure
from etl.archive.layout import Layout, existing, local_trouble
from etl.archive.lines import Account, End, Response
from etl.archive.manifest import Scan
from etl.archive.mentions import Sought
from etl.archive.objects import Objects
from etl.archive.order import LONGEST_RUN, first_line
from etl.archive.personal import Emptied, emptied, learn
from etl.archive.scope import within
from etl.archive.tombstones import removed_by_any
from etl.errors import TryLater, Usage


class ErasedResponses(Struct, frozen=True, kw_only=True):
    """Counts of an erasure, or of a dry run: `runs` and `responses` that are erased from.

    `earlier`: runs that an earlier erasure of the number already erased from. `whole`: responses, by run and digest,
    that could not be divided into records, so that all of the response or all around its records was replaced.
    `quoting`: runs whose manifest quotes an error that mentions the number; manifests do not change. `unneeded`:
    removed responses that no run named.
    """

    runs: int
    responses: int
    earlier: int = 0
    whole: tuple[tuple[int, str], ...] = ()
    quoting: tuple[int, ...] = ()
    unneeded: int = 0


def erase_number(
    folder: Path, account_id: int, number_id: int, *, now: datetime, dry_run: bool = False
) -> ErasedResponses:
    """Erase the number's personal content from every response; `dry_run`: only count.

    Each changed response becomes a new object, and a record in `erasures/` names it; manifests do not change. Raises
    `IntegrityBroken` when the archive is damaged, `Usage` for a number that is not in it, `TryLater` while a run may
    be writing. May be repeated after a crash.
    """
    layout = existing(folder)
    refuse_damaged(folder)
    if not dry_run:
        _refuse_running(layout, now)
    erasing = _Erasing(layout, account_id, number_id, dry_run=dry_run)
    for run_id in layout.run_ids():
        erasing.learn(run_id)
    if not erasing.known:
        raise Usage(
            f"the archive holds no number {number_id} of account {account_id}",
            remedy="`vnsync history` lists the ids",
        )
    for run_id in layout.run_ids():
        erasing.empty(run_id)
    if not dry_run:
        erasing.finish(now)
    return erasing.result()


def _refuse_running(layout: Layout, now: datetime) -> None:
    for run_id in layout.run_ids():
        if now - first_line(layout, run_id).started_at < LONGEST_RUN and not _is_sealed(layout, run_id):
            raise TryLater(
                f"run {run_id} has no seal in the archive: it is still running, or was interrupted within the last day",
                remedy="Erase after the run has ended; after an interrupted run, wait one day from its start",
            )


def _is_sealed(layout: Layout, run_id: int) -> bool:
    scan = Scan(layout, run_id)
    for _ in scan:
        pass
    return scan.sealed


class _Found(Struct):
    """Findings so far: runs to erase from, runs erased from earlier, and the replaced responses by former digest."""

    runs: set[int] = field(default_factory=set)
    earlier: set[int] = field(default_factory=set)
    replaced: dict[str, Replaced] = field(default_factory=dict)
    whole: dict[str, int] = field(default_factory=dict)
    quoting: list[int] = field(default_factory=list)
    unneeded: int = 0
    named: bool = False


class _Erasing:
    """Erasure of one number. New objects are written at once; they count only when the erasure's record is written."""

    def __init__(self, layout: Layout, account_id: int, number_id: int, *, dry_run: bool) -> None:
        self._layout, self._objects, self._erasures = layout, Objects(layout), read_erasures(layout)
        self._account_id, self._sought, self._dry_run = account_id, Sought(number_id), dry_run
        self._pruned, self._found, self._needed = removed_by_any(layout), _Found(), set[str]()

    @property
    def known(self) -> bool:
        """Whether a response contains the number, or contained it before an earlier erasure."""
        return self._found.named or bool(self._found.earlier)

    def learn(self, run_id: int) -> None:
        """Learn the number's phones and texts from a run's responses, to find them also where its id is missing."""
        for line, body, sought in self._responses(run_id):
            if self._was_erased_before(line.sha256 or ""):
                self._found.earlier.add(run_id)
            self._found.named = learn(body, sought) or self._found.named

    def empty(self, run_id: int) -> None:
        """Empty the responses of a run that contain the number."""
        for line, body, sought in self._responses(run_id):
            assert line.sha256 is not None
            new = emptied(body, sought)
            if new.body == body:
                continue
            self._found.runs.add(run_id)
            self._found.replaced[line.sha256] = self._replaced(line, new)
            if new.whole:
                self._found.whole.setdefault(line.sha256, run_id)
        if self._quotes(run_id):
            self._found.quoting.append(run_id)

    def _quotes(self, run_id: int) -> bool:
        """Whether an error in a run's manifest mentions the number."""
        lines = (line for line in Scan(self._layout, run_id) if isinstance(line, Response | Account | End))
        return any(line.error is not None and self._sought.is_mentioned_in(line.error.encode()) for line in lines)

    def _responses(self, run_id: int) -> Iterator[tuple[Response, bytes, Sought]]:
        """Responses of a run that were not pruned and may contain the number, each with its search target."""
        pruned = self._pruned if self._layout.tombstone(run_id).exists() else frozenset()
        for line in Scan(self._layout, run_id):
            if not isinstance(line, Response) or line.sha256 is None:
                continue
            if line.sha256 not in pruned:
                self._needed.add(self._erasures.now(line.sha256))
                body = self._objects.get(self._erasures.now(line.sha256))
                sought = within(self._sought, line, body, self._account_id)
                if sought is not None:
                    yield line, body, sought

    def _was_erased_before(self, digest: str) -> bool:
        number = (self._account_id, self._sought.number_id)
        return any((e.account_id, e.virtual_number_id) == number for e, _ in self._erasures.of(digest))

    def _replaced(self, line: Response, new: Emptied) -> Replaced:
        """Replacement of a response. A record that was erased from earlier keeps the digest that it had as received."""
        assert line.sha256 is not None
        first = {place: digest for _, r in reversed(self._erasures.of(line.sha256)) for place, digest in r.records}
        former = {place: hashlib.sha256(record).hexdigest() for place, record in new.former.items()} | first
        now = hashlib.sha256(new.body).hexdigest() if self._dry_run else self._objects.put(new.body)
        if line.records is None:
            return Replaced(former=line.sha256, now=now, records=[])
        records = [(place, former[place]) for place in sorted(new.former)]
        return Replaced(former=line.sha256, now=now, records=records, rest=_digest(new.rest))

    def finish(self, now: datetime) -> None:
        """Write the erasure's record, then remove replaced objects, including leftovers of an interrupted erasure."""
        newest, replaced = self._erasures.newest, list(self._found.replaced.values())
        if replaced:
            erasure = Erasure(
                number=1 + (newest.number if newest else 0),
                previous=newest.sha256 if newest else None,
                account_id=self._account_id,
                virtual_number_id=self._sought.number_id,
                erased_at=now,
                responses=replaced,
            )
            self._erasures.add(erasure, write_erasure(self._layout, erasure))
        self._remove_old()
        self._remove_unneeded(now)

    def _remove_old(self) -> None:
        """Remove former objects of erased responses, except those that are the current object of another response."""
        formers = set(self._erasures.formers)
        before = formers | {replaced.now for former in formers for _, replaced in self._erasures.of(former)}
        in_force = {self._erasures.now(former) for former in formers}
        for digest in before - in_force:
            path = self._layout.object(digest)
            with local_trouble(path), contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _remove_unneeded(self, now: datetime) -> None:
        """Remove objects that no line needs and that mention the number; not young ones, which a run may name soon."""
        in_force = {self._erasures.now(former) for former in self._erasures.formers}
        for digest in [d for d in self._layout.digests() if d not in self._needed and d not in in_force]:
            path = self._layout.object(digest)
            with local_trouble(path):
                old = now.timestamp() - path.stat().st_mtime > LONGEST_RUN.total_seconds()
            body = self._objects.get(digest)
            if old and emptied(body, self._sought).body != body:
                self._found.unneeded += 1
                with local_trouble(path):
                    path.unlink()

    def result(self) -> ErasedResponses:
        """Counts of the erasure."""
        found = self._found
        whole = tuple((run_id, digest) for digest, run_id in found.whole.items())
        runs, earlier = len(found.runs), len(found.earlier)
        return ErasedResponses(
            runs=runs,
            responses=len(found.replaced),
            earlier=earlier,
            whole=whole,
            quoting=tuple(found.quoting),
            unneeded=found.unneeded,
        )


def _digest(text: bytes | None) -> str | None:
    return None if text is None else hashlib.sha256(text).hexdigest()
