"""Proof by a head of an archive: forgeries in which all digests and seals agree are found and named."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from etl.archive.checking import Checked, check_archive
from etl.errors import VnsyncError
from tests.stress.forgeries import ArchiveForger
from tests.stress.tampered_exports import Exports, export
from tests.stress.tampering import warehouse_in

WAYS = [way.__name__ for way in ArchiveForger(Path(), random.Random()).ways]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Six days of a small agency, with an erasure and a pruning; an archive is the same for both databases."""
    folder = tmp_path_factory.mktemp("exported")
    with warehouse_in("sqlite", folder) as engine:
        return export(engine, folder)


@pytest.fixture
def folder(exported: Exports, tmp_path: Path) -> Path:
    """A copy of the archive."""
    shutil.copytree(exported.archive, tmp_path / "a")
    return tmp_path / "a"


def _checked(folder: Path, exported: Exports) -> Checked:
    try:
        return check_archive(folder, [exported.archive_head])
    except VnsyncError as error:
        return Checked(problems=[str(error)])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.fault("E02")
def test_forged_archive_is_found_by_its_head(exported: Exports, folder: Path, way: str, seed: int) -> None:
    """Lines, answers, whole accounts, erasures and tombstones, cut tails: found, and the run or record is named."""
    names = getattr(ArchiveForger(folder, random.Random(seed)), way)()
    problems = _checked(folder, exported).problems
    assert any(name in problem for problem in problems for name in names), problems


@pytest.mark.parametrize("way", ["erase_and_edit", "erase_record", "erase_rest", "prune"])
@pytest.mark.fault("E02")
def test_what_is_not_proved_is_told(exported: Exports, folder: Path, way: str) -> None:
    """A forged erasure or pruning in vnsync's own form passes, and each has its note."""
    names = getattr(ArchiveForger(folder, random.Random(1)), way)()
    found = _checked(folder, exported)
    assert found.problems == []
    assert any(name in note for note in found.notes for name in names)


@pytest.mark.fault("E02")
def test_erasure_made_after_a_head_says_so(exported: Exports, folder: Path) -> None:
    """An erasure that later runs name is proved; one that no kept head proves has a note that says so."""
    ArchiveForger(folder, random.Random(1)).erase_and_edit()
    first, second = [note for note in _checked(folder, exported).notes if note.startswith("erasure ")]
    assert first.endswith(" UTC")
    assert second.endswith("; no head that was kept proves it")
