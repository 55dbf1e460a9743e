"""A later release for tests: a copy of the program with two more columns of numbers (CONTRIBUTING, "Add a field").

`python -m tests.support.added_field URL DAY` runs in that copy: it upgrades the warehouse, syncs two days, erases one
number and prints the results as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

import etl
from etl.erasure.warehouse import erase_number
from etl.read.changes import TimeRange, read_changes
from etl.report.changes import sentence
from etl.sandbox.world import CustomerPlan, World
from etl.store import migrations
from etl.store.engine import begin_reading, open_warehouse
from etl.transform.normalize import ROWS_VERSION
from etl.verify.warehouse import verify_warehouse
from tests.support.checkout import ROOT
from tests.support.rig import FakeClock, Rig

EDITS: dict[str, tuple[tuple[str, str], ...]] = {
    "etl/domain/tables.py": (
        (
            "    ),\n)\nCAMPAIGNS",
            '        _text("region", "Region of the number", later=True),\n'
            '        _text("owner", "Owner of the number", personal=True, later=True),\n    ),\n)\nCAMPAIGNS',
        ),
    ),
    "etl/transform/records.py": (
        (
            "    comment: Text = UNSET\n",
            "    region: Text = UNSET\n    owner: Text = UNSET\n    comment: Text = UNSET\n",
        ),
    ),
    "etl/transform/normalize.py": (
        (f"ROWS_VERSION = {ROWS_VERSION}\n", f"ROWS_VERSION = {ROWS_VERSION + 1}\n"),
        (
            "            0,\n        )\n        return row if UNSET not in row else self._known(",
            "            n.region,\n            n.owner,\n            0,\n        )\n"
            "        return row if UNSET not in row else self._known(",
        ),
    ),
}
"""Edits by file: a passage that the file contains exactly once, and its replacement."""

REVISION = '''"""Numbers have a region and an owner, which a newer edition of the API reports."""

import sqlalchemy as sa
from alembic import op

revision = "{new}"
down_revision = "{last}"

NEW = ("region", "owner")


def upgrade() -> None:
    for name in NEW:
        op.add_column("virtual_numbers", sa.Column(name, sa.Text))
    with op.batch_alter_table("virtual_numbers_closed", table_kwargs={{"sqlite_with_rowid": False}}) as batch:
        for name in NEW:
            batch.add_column(sa.Column(name, sa.Text))
'''


def copy_of_program(folder: Path) -> Path:
    """The program in its own folder, with the two columns."""
    for part in ("etl", "migrations"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name, edits in EDITS.items():
        text = (folder / name).read_text()
        for before, after in edits:
            assert text.count(before) == 1, f"{name} has no such passage: {before}"
            text = text.replace(before, after)
        (folder / name).write_text(text)
    last = migrations.head()
    new = f"{int(last) + 1:04}"
    (folder / f"migrations/versions/{new}_region.py").write_text(REVISION.format(new=new, last=last))
    return folder


def in_copy(folder: Path, url: str, day: int) -> Any:
    """Output of the later release after two days of syncs, the first on `day`."""
    command = [sys.executable, "-m", "tests.support.added_field", url, str(day)]
    paths = os.pathsep.join([str(folder), str(ROOT)])
    ran = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def rig(engine: Engine, day: int) -> Rig:
    """A world of three numbers before its sync of that day."""
    return Rig(World(seed=5, customers=[CustomerPlan(numbers=3)]), engine, FakeClock(_date(day)))


def _date(day: int) -> datetime:
    return datetime(2026, 1, 5, 6, tzinfo=UTC) + timedelta(days=day)


def report(rig: Rig, **fields: str) -> None:
    """Make the source send these fields with every number from now on."""
    rig.world.clear_raw(rig.only)
    for record in rig.world.truth(rig.only):
        rig.world.put_raw(rig.only, record["id"], json.dumps(record | fields).encode())


def told(engine: Engine, moment: datetime) -> list[str]:
    """The changes of a moment's day in sentences."""
    with begin_reading(engine) as connection:
        changes = [c for c in read_changes(connection, TimeRange()) if c.observed_at.date() == moment.date()]
    return [sentence(change.change_event) for change in changes]


def problems(engine: Engine) -> list[str]:
    """The problems that `verify` finds."""
    return [str(problem) for problem in verify_warehouse(engine, [], lambda _: None).problems]


def main(url: str, day: int) -> dict[str, Any]:
    """Upgrade, sync two days and erase a number. Returns the results of `verify` and `changes` at each step."""
    engine = open_warehouse(url)
    migrations.upgrade(engine)
    seen: dict[str, Any] = {"program": etl.__file__, "upgraded": problems(engine)}
    later = rig(engine, day)
    for name, region in (("first day", "Kent"), ("second day", "Fife")):
        report(later, region=region, owner="Ann Example")
        later.sync()
        seen[name] = told(engine, later.clock.now())
    seen["synced"] = problems(engine)
    number_id = min(later.world.numbers(later.only))
    erased = erase_number(engine, later.only, number_id, now=later.clock.now(), reason=None)
    return seen | {"versions erased": erased.versions, "erased": problems(engine)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
