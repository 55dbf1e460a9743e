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
from etl.archive.lines import Response
from etl.archive.manifest import Scan
from etl.archive.objects import Objects
from etl.archive.order import STILL_ON, first_line
from etl.archive.personal import Emptied, emptied, names_it
from etl.archive.pieces import LISTING
from etl.archive.tombstones import read_tombstone
from etl.errors import TryLater, Usage


@dataclass(frozen=True, kw_only=True)
class ErasedResponses:
    """What was erased, or would be: from how many runs, and how many responses. `earlier`: runs erased from before."""

    runs: int
    responses: int
    earlier: int = 0


def erase_number(
    folder: Path, account_id: int, number_id: int, *, now: datetime, rehearsal: bool = False
) -> ErasedResponses:
    """Erase the number's personal content from every response; `rehearsal`: only count.

    A changed response is a new object, and a record in `erasures/` names it; manifests stay as they are. Raises
    `IntegrityBroken` when the archive is not whole, `Usage` for a number that is not in it, `TryLater` while a run may
    be on. May be repeated after a crash.
    """
    layout = existing(folder)
    refuse_damaged(folder)
    if not rehearsal:
        _refuse_running(layout, now)
    erasing = _Erasing(layout, account_id, number_id, rehearsal=rehearsal)
    for run_id in layout.run_ids():
        erasing.look_through(run_id)
    if not erasing.known:
        raise Usage(
            f"the archive holds no number {number_id} of account {account_id}",
            remedy="See `vnsync history`, which tells the ids",
        )
    if not rehearsal:
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
    named: bool = False


class _Erasing:
    """One number's erasure: new objects are written as they are found, and come into force with the record."""

    def __init__(self, layout: Layout, account_id: int, number_id: int, *, rehearsal: bool) -> None:
        self._layout, self._objects, self._erasures = layout, Objects(layout), read_erasures(layout)
        self._account_id, self._number_id, self._rehearsal = account_id, number_id, rehearsal
        self._found = _Found()

    @property
    def known(self) -> bool:
        """Whether a response has, or had, a record of the number."""
        return self._found.named or bool(self._found.replaced) or bool(self._found.earlier)

    def look_through(self, run_id: int) -> None:
        """Find the responses of a run that hold the number."""
        for line in self._listings(run_id):
            assert line.sha256 is not None
            if self._is_mine_before(line.sha256):
                self._found.earlier.add(run_id)
            body = self._objects.get(self._erasures.now(line.sha256))
            new = emptied(body, self._number_id)
            if new.body != body:
                self._found.runs.add(run_id)
                self._found.replaced[line.sha256] = self._replaced(line, new)
            self._found.named = self._found.named or names_it(body, self._number_id)

    def _listings(self, run_id: int) -> Iterator[Response]:
        """The responses of a run that may hold the number, and are there."""
        removed = set[str]()
        if self._layout.tombstone(run_id).exists():
            removed.update(read_tombstone(self._layout, run_id).removed)
        for line in Scan(self._layout, run_id):
            if not isinstance(line, Response) or line.method != LISTING or line.sha256 is None:
                continue
            if line.account_id in (None, self._account_id) and line.sha256 not in removed:
                yield line

    def _is_mine_before(self, digest: str) -> bool:
        mine = (self._account_id, self._number_id)
        return any((e.account_id, e.virtual_number_id) == mine for e, _ in self._erasures.of(digest))

    def _replaced(self, line: Response, new: Emptied) -> Replaced:
        """What is to stand for a response. Of a record that was erased from before, the first digest is its former."""
        assert line.sha256 is not None
        first = {place: digest for _, r in reversed(self._erasures.of(line.sha256)) for place, digest in r.records}
        former = {place: hashlib.sha256(record).hexdigest() for place, record in new.former.items()} | first
        now = hashlib.sha256(new.body).hexdigest() if self._rehearsal else self._objects.put(new.body)
        records = [(place, former[place]) for place in sorted(new.former)] if line.records is not None else []
        return Replaced(former=line.sha256, now=now, records=records)

    def finish(self, now: datetime) -> None:
        """Write the record, and remove what it replaces; also what an erasure left that was broken off."""
        newest, replaced = self._erasures.newest, list(self._found.replaced.values())
        if replaced:
            erasure = Erasure(
                number=1 + (newest.number if newest else 0),
                previous=newest.sha256 if newest else None,
                account_id=self._account_id,
                virtual_number_id=self._number_id,
                erased_at=now,
                responses=replaced,
            )
            self._erasures.add(erasure, write_erasure(self._layout, erasure))
        self._remove_old()

    def _remove_old(self) -> None:
        """Remove the objects that an erased response had before; those that stand for another stay."""
        formers = set(self._erasures.formers)
        before = formers | {replaced.now for former in formers for _, replaced in self._erasures.of(former)}
        in_force = {self._erasures.now(former) for former in formers}
        for digest in before - in_force:
            path = self._layout.object(digest)
            with local_trouble(path), contextlib.suppress(FileNotFoundError):
                path.unlink()

    def done(self) -> ErasedResponses:
        """What was found."""
        found = self._found
        return ErasedResponses(runs=len(found.runs), responses=len(found.replaced), earlier=len(found.earlier))
