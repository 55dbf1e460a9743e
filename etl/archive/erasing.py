"""Taking one number's personal content out of archived responses, so that it shows and the rest stays provable."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from etl.archive.checking import refuse_damaged
from etl.archive.erasures import Erasure, Replaced, read_erasures, write_erasure
from etl.archive.layout import Layout, existing, local_trouble
from etl.archive.lines import Account, End, Response
from etl.archive.manifest import Scan
from etl.archive.mentions import Sought
from etl.archive.objects import Objects
from etl.archive.order import STILL_ON, first_line
from etl.archive.personal import Emptied, emptied, learn
from etl.archive.scope import within
from etl.archive.tombstones import removed_by_any
from etl.errors import TryLater, Usage


@dataclass(frozen=True, kw_only=True)
class ErasedResponses:
    """What was erased, or would be: from how many runs, and how many responses. `earlier`: runs erased from before.

    `whole`: those of the responses that could not be taken apart, by run and digest, so that all around their records
    is gone, or all of them. `quoting`: runs of which the manifest quotes an error that tells of the number; it stays.
    `unneeded`: removed responses that no run named.
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

    A changed response is a new object, and a record in `erasures/` names it; manifests stay as they are. Raises
    `IntegrityBroken` when the archive is not whole, `Usage` for a number that is not in it, `TryLater` while a run may
    be on. May be repeated after a crash.
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
            remedy="See `vnsync history`, which tells the ids",
        )
    for run_id in layout.run_ids():
        erasing.empty(run_id)
    if not dry_run:
        erasing.finish(now)
    return erasing.done()


def _refuse_running(layout: Layout, now: datetime) -> None:
    for run_id in layout.run_ids():
        if now - first_line(layout, run_id).started_at < STILL_ON and not _is_sealed(layout, run_id):
            raise TryLater(
                f"run {run_id} has no seal in the archive: it is on, or was interrupted just now",
                remedy="Erase when it has ended; of a run that was interrupted, a day later",
            )


def _is_sealed(layout: Layout, run_id: int) -> bool:
    scan = Scan(layout, run_id)
    for _ in scan:
        pass
    return scan.sealed


@dataclass
class _Found:
    """The runs that something is to be erased from, those that it was erased from before, and what stands for what."""

    runs: set[int] = field(default_factory=set)
    earlier: set[int] = field(default_factory=set)
    replaced: dict[str, Replaced] = field(default_factory=dict)
    whole: dict[str, int] = field(default_factory=dict)
    quoting: list[int] = field(default_factory=list)
    unneeded: int = 0
    named: bool = False


class _Erasing:
    """One number's erasure: new objects are written as they are found, and come into force with the record."""

    def __init__(self, layout: Layout, account_id: int, number_id: int, *, dry_run: bool) -> None:
        self._layout, self._objects, self._erasures = layout, Objects(layout), read_erasures(layout)
        self._account_id, self._sought, self._dry_run = account_id, Sought(number_id), dry_run
        self._gone, self._found, self._needed = removed_by_any(layout), _Found(), set[str]()

    @property
    def known(self) -> bool:
        """Whether a response has, or had, something of the number."""
        return self._found.named or bool(self._found.earlier)

    def learn(self, run_id: int) -> None:
        """Find what the responses of a run tell of the number, so that it is found where its id is not beside it."""
        for line, body, sought in self._responses(run_id):
            if self._is_mine_before(line.sha256 or ""):
                self._found.earlier.add(run_id)
            self._found.named = learn(body, sought) or self._found.named

    def empty(self, run_id: int) -> None:
        """Empty the responses of a run that hold the number."""
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
        """Whether an error in a run's manifest tells of the number."""
        lines = (line for line in Scan(self._layout, run_id) if isinstance(line, Response | Account | End))
        return any(line.error is not None and self._sought.is_told_in(line.error.encode()) for line in lines)

    def _responses(self, run_id: int) -> Iterator[tuple[Response, bytes, Sought]]:
        """The responses of a run that may hold the number, and are there; and what to search for in each."""
        gone = self._gone if self._layout.tombstone(run_id).exists() else frozenset()
        for line in Scan(self._layout, run_id):
            if not isinstance(line, Response) or line.sha256 is None:
                continue
            if line.sha256 not in gone:
                self._needed.add(self._erasures.now(line.sha256))
                body = self._objects.get(self._erasures.now(line.sha256))
                sought = within(self._sought, line, body, self._account_id)
                if sought is not None:
                    yield line, body, sought

    def _is_mine_before(self, digest: str) -> bool:
        mine = (self._account_id, self._sought.number_id)
        return any((e.account_id, e.virtual_number_id) == mine for e, _ in self._erasures.of(digest))

    def _replaced(self, line: Response, new: Emptied) -> Replaced:
        """What is to stand for a response. Of a record that was erased from before, the first digest is its former."""
        assert line.sha256 is not None
        first = {place: digest for _, r in reversed(self._erasures.of(line.sha256)) for place, digest in r.records}
        former = {place: hashlib.sha256(record).hexdigest() for place, record in new.former.items()} | first
        now = hashlib.sha256(new.body).hexdigest() if self._dry_run else self._objects.put(new.body)
        if line.records is None:
            return Replaced(former=line.sha256, now=now, records=[])
        records = [(place, former[place]) for place in sorted(new.former)]
        return Replaced(former=line.sha256, now=now, records=records, rest=_digest(new.rest))

    def finish(self, now: datetime) -> None:
        """Write the record, and remove what it replaces; also what an erasure left that was broken off."""
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
        """Remove the objects that an erased response had before; those that stand for another stay."""
        formers = set(self._erasures.formers)
        before = formers | {replaced.now for former in formers for _, replaced in self._erasures.of(former)}
        in_force = {self._erasures.now(former) for former in formers}
        for digest in before - in_force:
            path = self._layout.object(digest)
            with local_trouble(path), contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _remove_unneeded(self, now: datetime) -> None:
        """Remove objects that no line needs and that tell of the number; young ones may be a beginning run's."""
        in_force = {self._erasures.now(former) for former in self._erasures.formers}
        for digest in [d for d in self._layout.digests() if d not in self._needed and d not in in_force]:
            path = self._layout.object(digest)
            with local_trouble(path):
                old = now.timestamp() - path.stat().st_mtime > STILL_ON.total_seconds()
            body = self._objects.get(digest)
            if old and emptied(body, self._sought).body != body:
                self._found.unneeded += 1
                with local_trouble(path):
                    path.unlink()

    def done(self) -> ErasedResponses:
        """What was found."""
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
