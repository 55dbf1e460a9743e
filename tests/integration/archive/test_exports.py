"""Exported folders: changes by others are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.stress.tampered_exports import export, mutate


@pytest.mark.parametrize("count", [40, pytest.param(120, marks=pytest.mark.soak)])
def test_single_changes_of_a_snapshot_and_an_archive_are_found_and_named(
    warehouse: Engine, tmp_path: Path, count: int
) -> None:
    """Bytes, lines, whole files, also with a recomputed manifest of the snapshot: all found, each by its file."""
    findings = mutate(export(warehouse, tmp_path), count, seed=5)
    assert findings.missed == findings.unnamed == []
    tried = {how.partition(":")[0] for how in findings.tried}
    assert tried == {
        f"{what} {how}" for what in ("snapshot", "archive") for how in ("changed", "placed", "forged", "unproved")
    }
