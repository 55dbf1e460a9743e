"""Check that an archive is intact: each object matches its name, each manifest matches its seal, and none is missing.

Everything is read once and in small steps. No manifest or response is held in memory as a whole, except responses
that were erased from.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, field

from etl.archive.erasures import Erasure, Erasures, read_erasures
from etl.archive.foreign import foreign_entries
from etl.archive.heads import ArchiveHead, FoundHeads
from etl.archive.layout import Layout, existing
from etl.archive.lines import Before, Response, Run
from etl.archive.manifest import Scan
from etl.archive.order import first_line, proved
from etl.archive.response_check import ResponseCheck
from etl.archive.tombstones import Tombstone, read_tombstone
from etl.domain.figures import counted
from etl.errors import IntegrityBroken


class Checked(Struct):
    """Result of a check. `problems`: one line each, none when the archive is intact; `notes` are not problems.

    `head`: the newest manifest and the digest of its bytes, if the manifest can be read. A copy that is kept elsewhere
    reveals that the newest runs were removed, which nothing within the archive can.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    runs: int = 0
    pruned: int = 0
    responses: int = 0
    head: str | None = None


class _ReadManifest(Struct, frozen=True):
    """Manifest that was read to its end."""

    first: Run
    bytes: int
    sha256: str

    @property
    def head(self) -> str:
        return f"{self.first.run_id}:{self.sha256}"


def check_archive(folder: Path, heads: Sequence[ArchiveHead] = ()) -> Checked:
    """Read the whole archive, and compare it with itself and with `heads`. Raises `Usage` if it is not an archive."""
    return _Check(existing(folder), heads).work()


def refuse_damaged(folder: Path) -> None:
    """Raise `IntegrityBroken` with the first problem of an archive, if it has one."""
    found = check_archive(folder).problems
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise IntegrityBroken(
            f"{found[0]}{more}", remedy="Restore the archive from a copy; `vnsync verify` lists every problem"
        )


class _Check:
    """State of one check."""

    def __init__(self, layout: Layout, heads: Sequence[ArchiveHead]) -> None:
        self._layout, self._found, self._ids = layout, Checked(), layout.run_ids()
        self._erasures, self._pruned = Erasures(), frozenset[str]()
        self._tombstones: dict[int, Tombstone] = {}
        self._firsts: dict[int, Run] = {}
        self._manifests: dict[int, _ReadManifest] = {}
        self._heads = FoundHeads(heads)

    def work(self) -> Checked:
        self._found.problems += foreign_entries(self._layout)
        self._read_small_files()
        self._responses = ResponseCheck(self._layout, self._erasures)
        named = self._named()
        for run_id in self._ids:
            self._guarded(lambda i: self._manifest(i, named.get(i, [])), run_id)
        self._check_missing(named)
        self._check_tombstones()
        self._check_erasures()
        self._check_unneeded()
        self._report_heads()
        self._count()
        return self._found

    def _problem(self, text: str) -> None:
        self._found.problems.append(text)

    def _note(self, text: str) -> None:
        self._found.notes.append(text)

    def _guarded(self, check: Callable[[int], None], run_id: int) -> None:
        try:
            check(run_id)
        except IntegrityBroken as exc:
            self._problem(str(exc))

    def _count(self) -> None:
        found = self._found
        found.pruned = len(self._tombstones)
        found.runs = sum(run_id not in self._tombstones for run_id in self._manifests)
        found.responses = self._responses.count
        newest = self._manifests.get(self._ids[-1]) if self._ids else None
        found.head = newest.head if newest else None

    # -- first lines, tombstones and erasures: the files that name other files

    def _read_small_files(self) -> None:
        try:
            self._erasures = read_erasures(self._layout)
        except IntegrityBroken as exc:
            self._problem(str(exc))
        for run_id in self._layout.pruned_ids():
            self._guarded(self._read_tombstone, run_id)
        self._pruned = frozenset(digest for tombstone in self._tombstones.values() for digest in tombstone.removed)
        for run_id in self._ids:
            with contextlib.suppress(IntegrityBroken):  # reported when the whole manifest is read
                first = first_line(self._layout, run_id)
                self._firsts[run_id] = msgspec.structs.replace(first, accounts=[], approve_close=[])

    def _read_tombstone(self, run_id: int) -> None:
        self._tombstones[run_id] = read_tombstone(self._layout, run_id)

    def _named(self) -> dict[int, list[tuple[Before, int]]]:
        """By run: each state of its manifest that another run names, and the id of that other run."""
        out: dict[int, list[tuple[Before, int]]] = {}
        for run_id, first in self._firsts.items():
            for before in first.previous:
                out.setdefault(before.run_id, []).append((before, run_id))
        return out

    # -- manifests, and the responses that they name

    def _manifest(self, run_id: int, named: Sequence[tuple[Before, int]]) -> None:
        scan, pruned = Scan(self._layout, run_id), self._pruned if run_id in self._tombstones else frozenset[str]()
        unseen, unmatched = self._removed(run_id), {(before.bytes, before.sha256): by for before, by in named}
        for line in scan:
            if isinstance(line, Response) and line.sha256 is not None:
                unseen.discard(line.sha256)
                self._response(run_id, line, pruned=line.sha256 in pruned)
            self._heads.compare(scan)
            if any(size == scan.bytes for size, _ in unmatched):
                unmatched.pop((scan.bytes, scan.digest()), None)
        for by in unmatched.values():
            self._problem(f"the manifest of run {run_id} was changed after run {by} began")
        if unseen:
            self._problem(f"the tombstone of run {run_id} names responses that its manifest does not ({len(unseen)})")
        if not scan.sealed:
            self._note(f"run {run_id} has no seal: it is still running, or was interrupted")
        self._manifests[run_id] = _ReadManifest(self._firsts[run_id], scan.bytes, scan.digest())

    def _removed(self, run_id: int) -> set[str]:
        return set(self._tombstones[run_id].removed) if run_id in self._tombstones else set()

    def _response(self, run_id: int, line: Response, *, pruned: bool) -> None:
        assert line.sha256 is not None
        if pruned:
            self._responses.add_pruned(line.sha256)
        elif (problem := self._responses.problem(line)) is not None:
            self._problem(f"{problem} (run {run_id})")

    # -- no run is missing, and none was pruned out of order

    def _check_missing(self, named: dict[int, list[tuple[Before, int]]]) -> None:
        present = set(self._ids)
        for run_id in sorted(named.keys() - present):
            self._problem(f"run {run_id} is missing from the archive: run {named[run_id][0][1]} follows it")
        for run_id in sorted(self._tombstones.keys() - present):
            self._problem(f"run {run_id} has a tombstone and no manifest: the manifest was removed")

    def _check_tombstones(self) -> None:
        """Check the order of pruning: the oldest runs first, and never the newest run."""
        if self._tombstones:
            last = max(self._tombstones)
            when = self._tombstones[last].pruned_at
            newest = f"the newest of them, run {last}, at {when:%Y-%m-%d %H:%M:%S} UTC"
            self._note(f"the responses of old runs were pruned ({len(self._tombstones)}), {newest}")
        kept = [run_id for run_id in self._firsts if run_id not in self._tombstones]
        for run_id in sorted(self._tombstones.keys() & self._firsts.keys()):
            first, before = self._firsts[run_id], kept[: bisect_left(kept, run_id)]
            skipped = [i for i in before if _older(self._firsts[i], first)]
            if run_id == self._ids[-1]:
                self._problem(f"run {run_id} has a tombstone, but is the newest run, which is never pruned")
            elif skipped:
                self._problem(f"run {run_id} has a tombstone, but the older run {skipped[0]} has none")

    def _check_erasures(self) -> None:
        marks = {mark.number: mark for mark in self._erasures.marks}
        for run_id, first in self._firsts.items():
            mark = first.erasures
            if mark is not None and marks.get(mark.number) != mark:
                path = f"erasures/{mark.number}.json"
                self._problem(f"erasure {mark.number} ({path}) is missing or was replaced: run {run_id} names it")
        for sentence in self._responses.unnamed():
            self._problem(sentence)
        for erasure in self._erasures.entries:
            later = (f for f in self._firsts.values() if f.started_at > erasure.erased_at and not _names(f, erasure))
            if (run := next(later, None)) is not None:
                self._note(
                    f"erasure {erasure.number} is dated before run {run.run_id} began, but that run does not name it:"
                    f" the erasure was added later, a clock was wrong, or both ran at the same time"
                )

    # -- heads

    def _report_heads(self) -> None:
        for head in self._heads.heads:
            found = self._heads.of(head)
            if found is None:
                self._problem(f"head {head} matches no run of the archive: runs were removed or rewritten")
                continue
            since = sum(other > found.run_id for other in self._manifests)
            where = f"followed by {since} more" if since else "the newest"
            self._note(f"head {str(head)[:32]}... is the head of run {found.run_id}, {where}")
        kept = self._heads.proved() or {i: m.bytes for i, m in self._manifests.items() if i == self._ids[-1]}
        covered = proved(kept, self._firsts)
        which = "the heads given do" if self._heads.heads else "the newest head does"
        for run_id, manifest in self._manifests.items():
            if covered.get(run_id, 0) < manifest.bytes and run_id <= max(kept, default=0):
                self._note(f"{which} not prove the end of run {run_id}: keep {manifest.head} too")
        self._report_erasures(covered)

    def _report_erasures(self, covered: dict[int, int]) -> None:
        marks = [self._firsts[run_id].erasures for run_id in covered if run_id in self._firsts]
        last = max((mark.number for mark in marks if mark is not None), default=0)
        for erasure in self._erasures.entries:
            newer = "" if erasure.number <= last or not self._heads.heads else "; no head that was kept proves it"
            self._note(f"{erasure.sentence()}{newer}")

    # -- objects that no run needs

    def _check_unneeded(self) -> None:
        unneeded = erased = 0
        formers = frozenset(self._erasures.formers)
        for digest in self._responses.unneeded():
            if (problem := self._responses.damage_of(digest)) is not None:
                self._problem(problem)
            erased += digest in formers
            unneeded += digest not in formers
        if erased:
            self._note(f"original responses that were erased from still exist ({erased}): run the erasure again")
        self._report_unneeded(unneeded)

    def _report_unneeded(self, unneeded: int) -> None:
        """Report responses without a run: a crash may have left them, or their run may have been removed."""
        if not self._ids and (unneeded or self._tombstones):
            others = f"{counted(unneeded, 'response')} and {counted(len(self._tombstones), 'tombstone')}"
            self._problem(f"the archive holds no run, but {others}: its runs were removed")
        elif unneeded and self._found.problems:
            self._note(f"responses belong to no run that can be read ({unneeded})")
        elif unneeded:
            self._note(
                f"responses belong to no run ({unneeded}): a crash left them, or their run was removed; only a head"
                f" that was kept elsewhere can distinguish the two (--head RUN:HEX)"
            )


def _names(run: Run, erasure: Erasure) -> bool:
    return run.erasures is not None and run.erasures.number >= erasure.number


def _older(kept: Run, pruned: Run) -> bool:
    """Whether a run with a lower id began before a pruned run, by its start time and by the manifests that it names."""
    newest = max((before.run_id for before in kept.previous), default=-1)
    return kept.started_at < pruned.started_at and newest < pruned.run_id
