"""Whether an archive is whole: each object is what its name says, each manifest what its seal says, none is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etl.archive.erasures import Erasure, read_erasures
from etl.archive.heads import ArchiveHead, KnownManifests
from etl.archive.layout import ERASURE, MARK, MARKER, OBJECT, PART, RUN, TEMPORARY, TOMBSTONE, Layout, existing, listed
from etl.archive.lines import Before
from etl.archive.manifest import Manifest, parse, read_bytes
from etl.archive.objects import Objects
from etl.archive.tombstones import Tombstone, read_tombstone
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


def check_archive(folder: Path, heads: Sequence[ArchiveHead] = ()) -> Checked:
    """Read the whole archive, and compare it with itself and with `heads`. Raises `Usage` when the folder is none."""
    return _Check(existing(folder)).work(heads)


class _Check:
    """The state of a check."""

    def __init__(self, layout: Layout) -> None:
        self._layout, self._found = layout, Checked()
        self._bytes: dict[int, bytes] = {}
        self._erasures: dict[int, list[Erasure]] = {}
        self._tombstones: dict[int, Tombstone] = {}

    def work(self, heads: Sequence[ArchiveHead]) -> Checked:
        self._found.problems += _strangers(self._layout)
        self._read_erasures()
        manifests = list(self._manifests())
        self._read_tombstones()
        self._check_order(manifests)
        self._check_erasures(manifests)
        self._check_heads(heads)
        self._check_objects(manifests)
        self._found.runs, self._found.pruned = len(manifests), len(self._tombstones)
        newest = max(self._layout.run_ids(), default=None)
        if newest in self._bytes:
            self._found.head = str(ArchiveHead(hashlib.sha256(self._bytes[newest]).hexdigest(), newest))
        return self._found

    def _check_heads(self, heads: Sequence[ArchiveHead]) -> None:
        """Each head is of a run that is here, or was when it was pruned or erased from."""
        known = KnownManifests(self._bytes, self._tombstones, self._erasures)
        for head in heads:
            run_id = known.run_of(head)
            if run_id is None:
                self._found.problems.append(f"head {head} is of no run in the archive: it was cut off or re-written")
                continue
            since = sum(other > run_id for other in self._bytes)
            where = f"followed by {since} more" if since else "the last"
            self._found.notes.append(f"head {str(head)[:32]}... is of run {run_id}, {where}")

    def _problem(self, exc: IntegrityBroken) -> None:
        self._found.problems.append(str(exc))

    def _manifests(self) -> Iterator[Manifest]:
        for run_id in self._layout.run_ids():
            try:
                text = read_bytes(self._layout, run_id)
                manifest = parse(text, run_id)
            except IntegrityBroken as exc:
                self._problem(exc)
                continue
            self._bytes[run_id] = text
            if not manifest.sealed:
                self._found.notes.append(f"run {run_id} has no seal: it is still on, or was interrupted")
            yield manifest

    def _read_erasures(self) -> None:
        try:
            for erasure in read_erasures(self._layout):
                self._erasures.setdefault(erasure.run_id, []).append(erasure)
        except IntegrityBroken as exc:
            self._problem(exc)

    def _read_tombstones(self) -> None:
        for run_id in self._layout.pruned_ids():
            try:
                self._tombstones[run_id] = read_tombstone(self._layout, run_id)
            except IntegrityBroken as exc:
                self._problem(exc)
                continue
            if run_id in self._bytes:
                self._found.notes.append(f"run {run_id} was being pruned: prune again")

    # -- nothing is missing between two runs

    def _check_order(self, manifests: list[Manifest]) -> None:
        for manifest in manifests:
            before = manifest.run.previous
            if before is not None:
                self._check_named(before, f"run {manifest.run.run_id}")
        for tombstone in self._tombstones.values():
            if tombstone.previous is not None:
                self._check_named(tombstone.previous, f"run {tombstone.run_id}, pruned")

    def _check_named(self, before: Before, by: str) -> None:
        """What a run named when it began is still there, was pruned with a tombstone, or was changed by an erasure."""
        run_id, text = before.run_id, self._bytes.get(before.run_id)
        if run_id in self._tombstones:
            if before.sha256 not in self._tombstones[run_id].digests:
                self._found.problems.append(f"the tombstone of run {run_id} is not of the run that {by} follows")
        elif text is None:
            if self._layout.manifest(run_id).exists():
                return  # it is damaged, and that has been told
            self._found.problems.append(f"run {run_id} is missing from the archive: {by} follows it")
        elif hashlib.sha256(text[: before.bytes]).hexdigest() not in self._meant(run_id, before):
            self._found.problems.append(f"the manifest of run {run_id} was changed after {by} began")

    def _meant(self, run_id: int, before: Before) -> set[str]:
        """The digest that was named; after an erasure no prefix is comparable, so the erasure must know it."""
        for erasure in self._erasures.get(run_id, []):
            if before.sha256 in erasure.digests_before:
                return {hashlib.sha256(self._bytes[run_id][: before.bytes]).hexdigest()}
        return {before.sha256}

    def _check_erasures(self, manifests: list[Manifest]) -> None:
        """Erased responses and the records of erasures tell of each other."""
        told = {(e.run_id, old) for entries in self._erasures.values() for e in entries for old in e.replaced}
        shown = {(m.run.run_id, old) for m in manifests for r in m.responses for old in r.erased}
        for run_id, _ in sorted(shown - told):
            self._found.problems.append(f"run {run_id} names an erasure of which there is no record")
        for run_id in sorted({run_id for run_id, _ in told - shown} - self._tombstones.keys()):
            if self._is_begun(run_id):
                self._found.notes.append(f"an erasure in run {run_id} was begun and not finished: erase again")
            elif run_id in self._bytes:
                self._found.problems.append(f"the record of an erasure in run {run_id} is not what its manifest says")
            elif not self._layout.manifest(run_id).exists():
                self._found.problems.append(f"run {run_id} is missing from the archive: an erasure in it is on record")
        for entries in self._erasures.values():
            self._found.notes += [e.sentence() for e in entries]
        for manifest in manifests:
            latest = self._erasures.get(manifest.run.run_id, [])[-1:]
            digest = hashlib.sha256(self._bytes[manifest.run.run_id]).hexdigest()
            if latest and digest != latest[0].manifest_after and not self._is_begun(manifest.run.run_id):
                self._found.problems.append(f"the manifest of run {manifest.run.run_id} was changed after an erasure")

    def _is_begun(self, run_id: int) -> bool:
        """Whether the last erasure in a run has its record, and the manifest is still the one before it."""
        latest, text = self._erasures.get(run_id, [])[-1:], self._bytes.get(run_id)
        whole = None if text is None else hashlib.sha256(text).hexdigest()
        return bool(latest) and whole in latest[0].digests_before

    # -- objects

    def _check_objects(self, manifests: list[Manifest]) -> None:
        objects, needed = Objects(self._layout), dict[str, int]()
        for manifest in manifests:
            for digest in manifest.digests:
                needed.setdefault(digest, manifest.run.run_id)
        there = set(self._layout.digests())
        for digest in sorted(there | needed.keys()):
            try:
                objects.get(digest)
            except IntegrityBroken as exc:
                where = f" (run {needed[digest]})" if digest in needed else ""
                self._found.problems.append(f"{exc}{where}")
        self._tell_of_left(len(there - needed.keys()))
        self._found.responses = len(needed)

    def _tell_of_left(self, left: int) -> None:
        """Responses without a run may be a crash's leavings, and may be all that is left of a run taken away."""
        runs = self._layout.run_ids()
        if not runs and (left or self._tombstones):
            what = f"{left} responses and {len(self._tombstones)} tombstones"
            self._found.problems.append(f"the archive holds no run, but {what}: its runs were taken away")
        elif left and self._found.problems:
            self._found.notes.append(f"{left} responses belong to no run that can be read")
        elif left:
            self._found.notes.append(
                f"{left} responses belong to no run: a crash left them, or their run was taken away; only a head that"
                f" was kept elsewhere tells which (--head RUN:HEX)"
            )


def _strangers(layout: Layout) -> Iterator[str]:
    """Files and folders that no vnsync wrote."""
    if (layout.folder / MARKER).read_bytes() != MARK:
        yield f"{layout.folder / MARKER} says more than vnsync writes"
    known = {layout.runs: (RUN, TOMBSTONE), layout.erasures: (ERASURE,)}
    for folder, patterns in known.items():
        for name in sorted(listed(folder)):
            if not any(p.fullmatch(name) for p in (*patterns, TEMPORARY)):
                yield f"{folder / name} does not belong to the archive"
    for name in sorted(listed(layout.folder)):
        if name not in (MARKER, "objects", "runs", "erasures") and not TEMPORARY.fullmatch(name):
            yield f"{layout.folder / name} does not belong to the archive"
    for part in sorted(listed(layout.objects)):
        if not PART.fullmatch(part) or not (layout.objects / part).is_dir():
            yield f"{layout.objects / part} does not belong to the archive"
            continue
        for name in sorted(listed(layout.objects / part)):
            if not OBJECT.fullmatch(name) and not TEMPORARY.fullmatch(name):
                yield f"{layout.objects / part / name} does not belong to the archive"


def refuse_damaged(folder: Path) -> None:
    """Raises `IntegrityBroken` with the first problem of an archive."""
    found = check_archive(folder).problems
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise IntegrityBroken(f"{found[0]}{more}", remedy="Restore the archive from a copy; `vnsync verify` lists all")
