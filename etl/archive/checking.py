"""Whether an archive is whole: each object is what its name says, each manifest what its seal says, none is missing.

All is read once and in small steps: no manifest and no response is held as a whole, but for those erased from.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from etl.archive.erasures import Erasure, Erasures, read_erasures
from etl.archive.heads import ArchiveHead, FoundHeads
from etl.archive.layout import Layout, existing
from etl.archive.lines import Before, Response, Run
from etl.archive.manifest import Scan
from etl.archive.order import first_line, proved
from etl.archive.response_check import ResponseCheck
from etl.archive.strangers import strangers
from etl.archive.tombstones import Tombstone, read_tombstone
from etl.domain.figures import counted
from etl.errors import IntegrityBroken


@dataclass
class Checked:
    """What was found. `problems`: one line each, none when the archive is whole; `notes` are no problems.

    `head`: the newest manifest and the digest of its bytes, where it can be read. Kept elsewhere it shows a run taken
    off the end, which nothing within the archive can.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    runs: int = 0
    pruned: int = 0
    responses: int = 0
    head: str | None = None


@dataclass(frozen=True)
class _Whole:
    """A manifest that was read to its end."""

    first: Run
    bytes: int
    sha256: str

    @property
    def head(self) -> str:
        return f"{self.first.run_id}:{self.sha256}"


def check_archive(folder: Path, heads: Sequence[ArchiveHead] = ()) -> Checked:
    """Read the whole archive, and compare it with itself and with `heads`. Raises `Usage` when the folder is none."""
    return _Check(existing(folder), heads).work()


def refuse_damaged(folder: Path) -> None:
    """Raises `IntegrityBroken` with the first problem of an archive."""
    found = check_archive(folder).problems
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise IntegrityBroken(f"{found[0]}{more}", remedy="Restore the archive from a copy; `vnsync verify` lists all")


class _Check:
    """The state of a check."""

    def __init__(self, layout: Layout, heads: Sequence[ArchiveHead]) -> None:
        self._layout, self._found, self._ids = layout, Checked(), layout.run_ids()
        self._erasures, self._gone = Erasures(), frozenset[str]()
        self._tombstones: dict[int, Tombstone] = {}
        self._firsts: dict[int, Run] = {}
        self._whole: dict[int, _Whole] = {}
        self._heads = FoundHeads(heads)

    def work(self) -> Checked:
        self._found.problems += strangers(self._layout)
        self._read_small_files()
        self._responses = ResponseCheck(self._layout, self._erasures)
        named = self._named()
        for run_id in self._ids:
            self._guarded(lambda i: self._manifest(i, named.get(i, [])), run_id)
        self._check_missing(named)
        self._check_tombstones()
        self._check_erasures()
        self._check_left()
        self._tell_heads()
        self._count()
        return self._found

    def _problem(self, what: str) -> None:
        self._found.problems.append(what)

    def _note(self, what: str) -> None:
        self._found.notes.append(what)

    def _guarded(self, check: Callable[[int], None], run_id: int) -> None:
        try:
            check(run_id)
        except IntegrityBroken as exc:
            self._problem(str(exc))

    def _count(self) -> None:
        found = self._found
        found.pruned = len(self._tombstones)
        found.runs = sum(run_id not in self._tombstones for run_id in self._whole)
        found.responses = self._responses.count
        newest = self._whole.get(self._ids[-1]) if self._ids else None
        found.head = newest.head if newest else None

    # -- what names others

    def _read_small_files(self) -> None:
        try:
            self._erasures = read_erasures(self._layout)
        except IntegrityBroken as exc:
            self._problem(str(exc))
        for run_id in self._layout.pruned_ids():
            self._guarded(self._read_tombstone, run_id)
        self._gone = frozenset(digest for tombstone in self._tombstones.values() for digest in tombstone.removed)
        for run_id in self._ids:
            with contextlib.suppress(IntegrityBroken):  # told when the whole manifest is read
                first = first_line(self._layout, run_id)
                self._firsts[run_id] = msgspec.structs.replace(first, accounts=[], approve_close=[])

    def _read_tombstone(self, run_id: int) -> None:
        self._tombstones[run_id] = read_tombstone(self._layout, run_id)

    def _named(self) -> dict[int, list[tuple[Before, int]]]:
        """By run, as which it was named, and by which other run."""
        out: dict[int, list[tuple[Before, int]]] = {}
        for run_id, first in self._firsts.items():
            for before in first.previous:
                out.setdefault(before.run_id, []).append((before, run_id))
        return out

    # -- each manifest, and the responses that it names

    def _manifest(self, run_id: int, named: Sequence[tuple[Before, int]]) -> None:
        scan, pruned = Scan(self._layout, run_id), self._gone if run_id in self._tombstones else frozenset[str]()
        unmet, left = self._removed(run_id), {(before.bytes, before.sha256): by for before, by in named}
        for line in scan:
            if isinstance(line, Response) and line.sha256 is not None:
                unmet.discard(line.sha256)
                self._response(run_id, line, pruned=line.sha256 in pruned)
            self._heads.passed(scan)
            if any(size == scan.bytes for size, _ in left):
                left.pop((scan.bytes, scan.digest()), None)
        for by in left.values():
            self._problem(f"the manifest of run {run_id} was changed after run {by} began")
        if unmet:
            self._problem(f"the tombstone of run {run_id} names responses that its manifest does not ({len(unmet)})")
        if not scan.sealed:
            self._note(f"run {run_id} has no seal: it is still on, or was interrupted")
        self._whole[run_id] = _Whole(self._firsts[run_id], scan.bytes, scan.digest())

    def _removed(self, run_id: int) -> set[str]:
        return set(self._tombstones[run_id].removed) if run_id in self._tombstones else set()

    def _response(self, run_id: int, line: Response, *, pruned: bool) -> None:
        assert line.sha256 is not None
        if pruned:
            self._responses.pruned(line.sha256)
        elif (problem := self._responses.problem(line)) is not None:
            self._problem(f"{problem} (run {run_id})")

    # -- nothing is missing, and nothing was taken out of turn

    def _check_missing(self, named: dict[int, list[tuple[Before, int]]]) -> None:
        there = set(self._ids)
        for run_id in sorted(named.keys() - there):
            self._problem(f"run {run_id} is missing from the archive: run {named[run_id][0][1]} follows it")
        for run_id in sorted(self._tombstones.keys() - there):
            self._problem(f"run {run_id} has a tombstone and no manifest: it was taken away")

    def _check_tombstones(self) -> None:
        """Pruning takes the oldest runs first, and never the newest."""
        if self._tombstones:
            last = max(self._tombstones)
            when = self._tombstones[last].pruned_at
            told = f"{len(self._tombstones)}, the newest of them {last}, at {when:%Y-%m-%d %H:%M:%S} UTC"
            self._note(f"the responses of old runs were pruned: {told}")
        kept = [run_id for run_id in self._firsts if run_id not in self._tombstones]
        for run_id in sorted(self._tombstones.keys() & self._firsts.keys()):
            first, before = self._firsts[run_id], kept[: bisect_left(kept, run_id)]
            skipped = [i for i in before if _older(self._firsts[i], first)]
            if run_id == self._ids[-1]:
                self._problem(f"run {run_id} has a tombstone, and is the newest, which is never pruned")
            elif skipped:
                self._problem(f"run {run_id} has a tombstone, and the older run {skipped[0]} has none")

    def _check_erasures(self) -> None:
        marks = {mark.number: mark for mark in self._erasures.marks}
        for run_id, first in self._firsts.items():
            mark = first.erasures
            if mark is not None and marks.get(mark.number) != mark:
                path = f"erasures/{mark.number}.json"
                self._problem(f"erasure {mark.number} ({path}) is missing or another one: run {run_id} began after it")
        for sentence in self._responses.unnamed():
            self._problem(sentence)
        for erasure in self._erasures.entries:
            later = (f for f in self._firsts.values() if f.started_at > erasure.erased_at and not _knows(f, erasure))
            if (run := next(later, None)) is not None:
                self._note(
                    f"erasure {erasure.number} says that it was made before run {run.run_id} began, which does not"
                    f" know of it: it was put there later, a clock was wrong, or both were on at once"
                )

    # -- heads

    def _tell_heads(self) -> None:
        for head in self._heads.heads:
            found = self._heads.of(head)
            if found is None:
                self._problem(f"head {head} is of no run in the archive: it was cut off or re-written")
                continue
            since = sum(other > found.run_id for other in self._whole)
            where = f"followed by {since} more" if since else "the last"
            self._note(f"head {str(head)[:32]}... is of run {found.run_id}, {where}")
        kept = self._heads.proved() or {i: w.bytes for i, w in self._whole.items() if i == self._ids[-1]}
        covered = proved(kept, self._firsts)
        for run_id, whole in self._whole.items():
            if covered.get(run_id, 0) < whole.bytes and run_id <= max(kept, default=0):
                self._note(f"the end of run {run_id} comes under no other head: keep {whole.head} too")
        self._tell_erasures(covered)

    def _tell_erasures(self, covered: dict[int, int]) -> None:
        marks = [self._firsts[run_id].erasures for run_id in covered if run_id in self._firsts]
        last = max((mark.number for mark in marks if mark is not None), default=0)
        for erasure in self._erasures.entries:
            newer = "" if erasure.number <= last or not self._heads.heads else "; no head that was kept proves it"
            self._note(f"{erasure.sentence()}{newer}")

    # -- what no run needs

    def _check_left(self) -> None:
        left = erased = 0
        formers = frozenset(self._erasures.formers)
        for digest in self._responses.left():
            if (problem := self._responses.damage_of(digest)) is not None:
                self._problem(problem)
            erased += digest in formers
            left += digest not in formers
        if erased:
            self._note(f"responses as they were before an erasure are there ({erased}): erase again")
        self._tell_left(left)

    def _tell_left(self, left: int) -> None:
        """Responses without a run may be a crash's leavings, and may be all that is left of a run taken away."""
        if not self._ids and (left or self._tombstones):
            what = f"{counted(left, 'response')} and {counted(len(self._tombstones), 'tombstone')}"
            self._problem(f"the archive holds no run, but {what}: its runs were taken away")
        elif left and self._found.problems:
            self._note(f"responses that belong to no run that can be read: {left}")
        elif left:
            self._note(
                f"responses that belong to no run: {left}. A crash left them, or their run was taken away; only a head"
                f" that was kept elsewhere tells which (--head RUN:HEX)"
            )


def _knows(run: Run, erasure: Erasure) -> bool:
    return run.erasures is not None and run.erasures.number >= erasure.number


def _older(kept: Run, pruned: Run) -> bool:
    """Whether a run of a lower id began before one that was pruned, by its moment and the manifests that it names."""
    newest = max((before.run_id for before in kept.previous), default=-1)
    return kept.started_at < pruned.started_at and newest < pruned.run_id
