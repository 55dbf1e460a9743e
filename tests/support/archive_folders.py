"""Reader of an archive's folder for tests, with the standard library alone, because the format is public."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from etl.sandbox.world import CustomerPlan, Role, World
from tests.support.rig import Rig


def archived(engine: Engine, folder: Path, *, numbers: int = 60, customers: int = 1, **more: Any) -> Rig:
    """A rig whose runs are archived in `folder`."""
    plans = [CustomerPlan(numbers=numbers) for _ in range(customers)]
    role: Role = "customer" if customers == 1 else "agent"
    return Rig(World(seed=5, customers=plans, role=role, **more), engine, archive=folder)


def manifest(folder: Path, run_id: int) -> list[dict[str, Any]]:
    """The lines of a run's manifest."""
    return [json.loads(line) for line in (folder / "runs" / f"{run_id}.jsonl").read_text().splitlines()]


def kind(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The lines of one kind."""
    return [line for line in found if line["kind"] == name]


def erasures(folder: Path) -> list[dict[str, Any]]:
    """The records of erasures, oldest first."""
    paths = sorted((folder / "erasures").glob("*.json"), key=lambda p: int(p.stem))
    return [json.loads(path.read_bytes())["record"] for path in paths]


def now(folder: Path, digest: str) -> str:
    """Digest of the object that replaces a response after the erasures."""
    newest = {r["former"]: r["now"] for record in erasures(folder) for r in record["responses"]}
    return str(newest.get(digest, digest))


def body(folder: Path, digest: str) -> bytes:
    """A response by its digest; the digest is checked."""
    content = gzip.decompress((folder / "objects" / digest[:2] / f"{digest[2:]}.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == digest
    return content


def modes(folder: Path) -> set[tuple[str, int]]:
    """Kind and permissions of the folder and everything in it."""
    return {("d" if p.is_dir() else "f", p.stat().st_mode & 0o777) for p in (folder, *folder.rglob("*"))}
