"""What a snapshot holds, as a table and a sentence."""

from __future__ import annotations

from pathlib import Path

from etl.read.manifest import Manifest
from etl.report.tables import Cell, Table
from etl.report.wording import counted, printable, thousands


def files_table(manifest: Manifest) -> Table:
    """One row for each file."""
    rows: list[list[Cell]] = [[f.path, thousands(f.rows), thousands(f.bytes), f.sha256[:16]] for f in manifest.files]
    return Table(["file", "rows", "bytes", "sha256"], rows, frozenset({"rows", "bytes"}))


def closing_line(out: Path, manifest: Manifest) -> str:
    """Where it is, and what it is of."""
    accounts = counted(len(manifest.accounts), "account")
    return f"{printable(str(out))}: {accounts} as known at {manifest.as_of}."
