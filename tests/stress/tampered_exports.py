"""Tamperings with exported folders, one at a time, each of which `verify` must find, with the file's name.

Usage: python -m tests.stress.tampered_exports [--count 10000] [--database sqlite|postgresql] [--seed 1]

A small agency is synced for some days, its answers archived, and a snapshot taken in all formats. Then, again and
again, the folder is tampered with and verified:

- one file is changed: bytes flipped, inserted or removed, the file deleted, renamed, swapped with another or added;
- a link, a FIFO, a socket or a folder replaces a file or a folder, or is added;
- an author who knows the snapshot's format changes values, types, nulls, instants, whole accounts, and makes the
  manifest agree: then the comparison with the warehouse finds it;
- an author who knows the archive's format rewrites lines and answers, forges erasures and tombstones, removes runs, and
  makes all seals agree: then the kept head finds it. What docs/archive.md lists as not proved must be noted.

Exit 1 when a tampering was not found, or its file not named.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import Engine

from etl.archive import layout
from etl.archive.checking import check_archive
from etl.archive.erasing import erase_number
from etl.archive.heads import ArchiveHead
from etl.archive.pruning import prune
from etl.errors import VnsyncError
from etl.sandbox.world import CustomerPlan, World
from etl.snapshot import manifest as manifests
from etl.snapshot.check import check
from etl.snapshot.write import write_snapshot
from tests.stress.forgeries import ArchiveForger
from tests.stress.placements import Content, Placer, content, restore
from tests.stress.snapshot_forgeries import SnapshotForger
from tests.stress.tampering import warehouse_in
from tests.support.rig import Rig

FORMATS = ("csv", "ndjson", "parquet")
SHOWN = 10


@dataclass
class Findings:
    """Results of the tamperings, by kind."""

    tried: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Exports:
    """The exported folders, and their warehouse."""

    engine: Engine
    snapshot: Path
    archive: Path
    archive_head: ArchiveHead


def export(engine: Engine, folder: Path) -> Exports:
    """Export six days of a small agency: archived, pruned, with an erasure, and a snapshot of them."""
    world = World(seed=7, customers=[CustomerPlan(numbers=25), CustomerPlan(numbers=8)], role="agent")
    rig = Rig(world, engine, archive=folder / "archive")
    for day in range(6):
        assert rig.sync().exit_code == 0
        world.pass_day(share=0.15)
        if day == 2:
            account = world.customer_ids[0]
            erase_number(folder / "archive", account, world.truth(account)[0]["id"], now=rig.clock.now())
            prune(folder / "archive", before=rig.clock.now() - timedelta(hours=36), now=rig.clock.now())
    write_snapshot(engine, rig.clock.now() + timedelta(hours=1), folder / "snapshot", FORMATS)
    head = check_archive(folder / "archive").head
    assert head is not None
    run_id, _, digest = head.partition(":")
    return Exports(engine, folder / "snapshot", folder / "archive", ArchiveHead(digest, int(run_id)))


# -- changes of a file


class Hand:
    """Changes one file of a folder. Each change returns the names that may be reported."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._ways: list[Callable[[Path, list[Path]], set[str]]] = [
            self._flip, self._insert, self._cut_out, self._cut_off, self._lose, self._rename, self._swap, self._add
        ]  # fmt: skip

    def change(self, files: list[Path]) -> tuple[str, set[str]]:
        """Make one change of one file. Returns its kind, and the names."""
        way = self._dice.choice(self._ways)
        path = self._dice.choice(files)
        return f"{way.__name__.strip('_')} {path.name}", way(path, files)

    def _place(self, content: bytes) -> int:
        return self._dice.randrange(len(content)) if content else 0

    def _flip(self, path: Path, _: list[Path]) -> set[str]:
        content = path.read_bytes() or b"\0"
        at = self._place(content)
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << self._dice.randrange(8))]) + content[at + 1 :])
        return {_name(path)}

    def _insert(self, path: Path, _: list[Path]) -> set[str]:
        content = path.read_bytes()
        at = self._place(content)
        path.write_bytes(content[:at] + self._dice.randbytes(self._dice.randint(1, 9)) + content[at:])
        return {_name(path)}

    def _cut_out(self, path: Path, _: list[Path]) -> set[str]:
        content = path.read_bytes() or b"\0"
        at = self._place(content)
        path.write_bytes(content[:at] + content[at + self._dice.randint(1, 9) :])
        return {_name(path)}

    def _cut_off(self, path: Path, _: list[Path]) -> set[str]:
        content = path.read_bytes()
        path.write_bytes(content[: self._place(content)])
        return {_name(path)}

    def _lose(self, path: Path, _: list[Path]) -> set[str]:
        path.unlink()
        return {_name(path)}

    def _rename(self, path: Path, _: list[Path]) -> set[str]:
        path.rename(path.with_name(f"x{path.name}"))
        return {_name(path), f"x{path.name}"}

    def _swap(self, path: Path, files: list[Path]) -> set[str]:
        other = self._dice.choice(files)
        one, two = path.read_bytes(), other.read_bytes()
        path.write_bytes(two)
        other.write_bytes(one)
        return {_name(path), _name(other)}

    def _add(self, path: Path, _: list[Path]) -> set[str]:
        name = f"{self._dice.randrange(16**8):08x}{path.suffix}"
        shutil.copy(path, path.with_name(name))
        return {name}

    # -- changes that keep the digests correct

    def forge(self, folder: Path) -> tuple[str, set[str]]:
        """Edit, double or remove a line of a text, or change the manifest; the digests agree again."""
        told = manifests.loads((folder / manifests.NAME).read_bytes())
        place = self._dice.randrange(len(told.files))
        file = told.files[place]
        if self._dice.random() < 0.2:
            told, names = self._say_otherwise(told, place)
        else:
            while file.path.endswith("parquet") or file.bytes < 100:
                place = self._dice.randrange(len(told.files))
                file = told.files[place]
            content, rows = self._other_lines((folder / file.path).read_bytes(), file.rows)
            (folder / file.path).write_bytes(content)
            edited = replace(file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), rows=rows)
            told, names = replace(told, files=(*told.files[:place], edited, *told.files[place + 1 :])), {file.path}
        (folder / manifests.NAME).write_bytes(manifests.dumps(told))
        return f"forge {'/'.join(sorted(names))}", names

    def _other_lines(self, content: bytes, rows: int) -> tuple[bytes, int]:
        lines = content.splitlines(keepends=True)
        at = self._dice.randrange(len(lines))
        kind = self._dice.choice(("edit", "double", "take out"))
        if kind == "double":
            return b"".join([*lines[:at], lines[at], *lines[at:]]), rows + 1
        if kind == "take out":
            return b"".join([*lines[:at], *lines[at + 1 :]]), rows - 1
        line = bytearray(lines[at])
        place = self._dice.randrange(len(line) - 1) if len(line) > 1 else 0
        line[place] = ord("7") if line[place] != ord("7") else ord("8")
        return b"".join([*lines[:at], bytes(line), *lines[at + 1 :]]), rows

    def _say_otherwise(self, told: manifests.Manifest, place: int) -> tuple[manifests.Manifest, set[str]]:
        file, (account, *others) = told.files[place], told.accounts
        forged = self._dice.choice(
            [
                replace(told, files=(*told.files[:place], replace(file, rows=file.rows + 1), *told.files[place + 1 :])),
                replace(told, accounts=(replace(account, chain_digest="0" * 64), *others)),
                replace(told, accounts=(replace(account, observed_at="2020-01-01T00:00:00.000000Z"), *others)),
                replace(told, accounts=tuple(others)),
            ]
        )
        return forged, {file.path, f"account {account.account_id}"}


def _name(path: Path) -> str:
    """The name of the file in a problem: an archived response's digest, or for a manifest its run."""
    if path.suffix == ".gz":
        return f"{path.parent.name}{path.stem}"[:16]
    return path.name.partition(".")[0] if path.parent.name == "runs" else path.name


# -- check that it is found


def mutate(exports: Exports, count: int, seed: int) -> Findings:
    """Try `count` tamperings; after each one the folder is restored."""
    findings, hand = Findings(), _Hands(exports, random.Random(seed))
    kept = {folder: content(folder) for folder in (exports.snapshot, exports.archive)}
    while findings.tried.total() < count:
        hand.turn(findings, kept)
    assert not list(_told_of_snapshot(exports, exports.engine))
    assert not check_archive(exports.archive, [exports.archive_head]).problems
    return findings


class _Hands:
    """All kinds of changes, each for the folder whose format it uses."""

    def __init__(self, exports: Exports, dice: random.Random) -> None:
        self._exports, self._dice, self._hand = exports, dice, Hand(dice)
        elsewhere = exports.archive.with_name("elsewhere")
        self._placers = {f: Placer(f, elsewhere, dice) for f in (exports.snapshot, exports.archive)}
        self._archive, self._snapshot = ArchiveForger(exports.archive, dice), SnapshotForger(exports.snapshot, dice)

    def turn(self, findings: Findings, kept: dict[Path, Content]) -> None:
        """Make one tampering, and check the report."""
        folder = self._dice.choice([self._exports.snapshot, self._exports.archive])
        kind = self._dice.choice(["changed", "placed", "forged", "forged", "unproved"])
        how, names = self._done(kind, folder, sorted(p for p, c in kept[folder].items() if c is not None))
        if names and content(folder) != kept[folder]:
            told = self._told(kind, folder)
            findings.tried[f"{folder.name} {kind}: {how.partition(' ')[0]}"] += 1
            if not told:
                findings.missed.append(f"{folder.name}: {how} {sorted(names)}")
            elif not any(name in line for name in names for line in told):
                findings.unnamed.append(f"{folder.name}: {how} {sorted(names)}: {told[:2]}")
        restore(folder, kept[folder])

    def _done(self, kind: str, folder: Path, files: list[Path]) -> tuple[str, set[str]]:
        if kind == "placed":
            return self._placers[folder].place()
        if kind == "changed":
            return self._hand.change([path for path in files if path.name != layout.MARKER])
        if folder == self._exports.archive:
            return self._archive.forge_unproved() if kind == "unproved" else self._archive.forge()
        return self._hand.forge(folder) if self._dice.random() < 0.5 else self._snapshot.forge()

    def _told(self, kind: str, folder: Path) -> list[str]:
        exports = self._exports
        try:
            if folder == exports.snapshot:
                knowing = kind in ("forged", "unproved")
                return list(_told_of_snapshot(exports, exports.engine if knowing else None))
            found = check_archive(exports.archive, [exports.archive_head])
        except VnsyncError as error:
            return [str(error)]
        return found.notes if kind == "unproved" and not found.problems else found.problems


def _told_of_snapshot(exports: Exports, engine: Engine | None) -> Iterable[str]:
    return (f"{problem.where}: {problem.what}" for problem in check(exports.snapshot, engine).problems)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, warehouse_in(given.database, Path(folder)) as engine:
        start = time.monotonic()
        findings = mutate(export(engine, Path(folder)), given.count, given.seed)
        engine.dispose()
    tried = findings.tried.total()
    found = tried - len(findings.missed)
    told = f"{found} of {tried} mutations found, the file named in {found - len(findings.unnamed)}"
    print(f"{given.database}: {told}, in {time.monotonic() - start:.0f} s; {dict(sorted(findings.tried.items()))}")
    for line in [*findings.missed[:SHOWN], *findings.unnamed[:SHOWN]]:
        print(f"  {line}")
    return 0 if not findings.missed and not findings.unnamed else 1


if __name__ == "__main__":
    sys.exit(main())
