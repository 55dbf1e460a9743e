"""Single mutations of exported folders, one after the other, each of which `verify` must find, and name its file.

Usage: python -m campaigns.exports [--count 10000] [--database sqlite|postgresql] [--seed 1]

A small agency is synced for some days, its answers archived, and a snapshot taken in all formats. Then, again and
again, one file is changed (bytes flipped, inserted, cut out, the file lost, renamed, swapped with another or added) and
the folder verified. A knowing hand also makes the snapshot's manifest agree with what it edited: then the warehouse
decides. Exit 1 when a mutation was not found, or its file not named.
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
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from campaigns.mutations import warehouse_in
from etl.archive import layout
from etl.archive.checking import check_archive
from etl.archive.heads import ArchiveHead
from etl.errors import IntegrityBroken
from etl.read import manifest as manifests
from etl.read.snapshot import write_snapshot
from etl.read.snapshot_check import check
from etl.sandbox.world import CustomerPlan, World
from tests.rig import Rig

FORMATS = ("csv", "ndjson", "parquet")
SHOWN = 10


@dataclass
class Findings:
    """What came of the mutations, by how they were made."""

    tried: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Exports:
    """The folders, and the warehouse that they came from."""

    engine: Engine
    snapshot: Path
    archive: Path
    archive_head: ArchiveHead


def export(engine: Engine, folder: Path) -> Exports:
    """A small agency's five days: archived, and a snapshot of them."""
    world = World(seed=7, customers=[CustomerPlan(numbers=25), CustomerPlan(numbers=8)], role="agent")
    rig = Rig(world, engine, archive=folder / "archive")
    for _ in range(5):
        assert rig.sync().exit_code == 0
        world.pass_day(share=0.15)
    write_snapshot(engine, rig.clock.now() + timedelta(hours=1), folder / "snapshot", FORMATS)
    head = check_archive(folder / "archive").head
    assert head is not None
    run_id, _, digest = head.partition(":")
    return Exports(engine, folder / "snapshot", folder / "archive", ArchiveHead(digest, int(run_id)))


# -- what is done to a file


class Hand:
    """Changes one file of a folder; `touched` are the names that may be told of it."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._ways: list[Callable[[Path, list[Path]], set[str]]] = [
            self._flip, self._insert, self._cut_out, self._cut_off, self._lose, self._rename, self._swap, self._add
        ]  # fmt: skip

    def change(self, files: list[Path]) -> tuple[str, set[str]]:
        """One change of one of them: how it is called, and the names."""
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

    # -- a hand that knows what is sealed

    def forge(self, folder: Path) -> tuple[str, set[str]]:
        """Edit, double or take out a line of a text, or say something else in the manifest; its digests agree again."""
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
    """How a problem would name the file: an archived response by its digest, a run's manifest by the run."""
    if path.suffix == ".gz":
        return f"{path.parent.name}{path.stem}"[:16]
    return path.stem if path.suffix == ".jsonl" else path.name


# -- whether it is found


def mutate(exports: Exports, count: int, seed: int) -> Findings:
    """Try so many mutations; after each the folder is as it was."""
    findings, dice = Findings(), random.Random(seed)
    hand = Hand(dice)
    kept = {folder: _content(folder) for folder in (exports.snapshot, exports.archive)}
    while findings.tried.total() < count:
        _try(exports, dice.choice(("snapshot", "archive", "forged")), hand, kept, findings)
    assert not list(_told_of_snapshot(exports, exports.engine))
    assert not list(_told_of_archive(exports))
    return findings


def _try(exports: Exports, what: str, hand: Hand, kept: dict[Path, dict[Path, bytes]], findings: Findings) -> None:
    folder = exports.archive if what == "archive" else exports.snapshot
    files = sorted(path for path in kept[folder] if path.name != layout.MARKER)
    how, names = hand.forge(folder) if what == "forged" else hand.change(files)
    if _content(folder) != kept[folder]:
        told = _found(exports, what)
        findings.tried[f"{what}: {how.partition(' ')[0]}"] += 1
        if not told:
            findings.missed.append(f"{what}: {how}")
        elif not any(name in line for name in names for line in told):
            findings.unnamed.append(f"{what}: {how}: {told[:2]}")
    _restore(folder, kept[folder])


def _found(exports: Exports, what: str) -> list[str]:
    try:
        if what == "archive":
            return list(_told_of_archive(exports))
        return list(_told_of_snapshot(exports, exports.engine if what == "forged" else None))
    except IntegrityBroken as error:
        return [str(error)]


def _told_of_snapshot(exports: Exports, engine: Engine | None) -> Iterable[str]:
    return (f"{problem.where}: {problem.what}" for problem in check(exports.snapshot, engine).problems)


def _told_of_archive(exports: Exports) -> Iterable[str]:
    return check_archive(exports.archive, [exports.archive_head]).problems


def _content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _restore(folder: Path, kept: dict[Path, bytes]) -> None:
    now = _content(folder)
    for path in now.keys() - kept.keys():
        path.unlink()
    for path, content in kept.items():
        if now.get(path) != content:
            path.write_bytes(content)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
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
