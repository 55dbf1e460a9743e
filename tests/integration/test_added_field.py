"""Columns added by a later release: digests of earlier versions stay, and new versions are sealed and verified, too."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Engine

from tests.support import added_field


def test_a_warehouse_outlives_added_fields(warehouse: Engine, warehouse_url: str, tmp_path: Path) -> None:
    """Earlier versions verify after the upgrade; new columns are recorded, sealed, shown and erased like others."""
    now = added_field.rig(warehouse, 0)
    now.sync()
    added_field.report(now, region="Kent")  # an unknown field as yet: it is kept in `extra`
    now.sync()
    warehouse.dispose()
    seen = added_field.in_copy(added_field.copy_of_program(tmp_path / "later"), warehouse_url, 2)
    assert Path(seen.pop("program")).is_relative_to(tmp_path)
    changes = {day: [told.partition(": ")[2] for told in seen.pop(day)] for day in ("first day", "second day")}
    assert changes == {
        "first day": ['owner is known now: "Ann Example"'] * 3,  # the region was known, in `extra`
        "second day": ['region "Kent" -> "Fife"'] * 3,
    }
    assert seen == {"upgraded": [], "synced": [], "erased": [], "versions erased": 4}


def test_the_stand_alone_script_verifies_added_fields(
    sqlite_warehouse: Engine, script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the new columns in its list the script verifies; without them it fails, because the lines contain them."""
    path = sqlite_warehouse.url.database
    assert path is not None
    now = added_field.rig(sqlite_warehouse, 0)
    now.sync()
    sqlite_warehouse.dispose()
    added_field.in_copy(added_field.copy_of_program(tmp_path / "later"), f"sqlite:///{path}", 1)
    assert script.main(path) == 1
    script.LATER["virtual_numbers"] = (["region"], ["owner"])
    assert script.main(path) == 0, capsys.readouterr().out
