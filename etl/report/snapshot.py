"""What a snapshot holds, as a table and a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from etl.report.terminal.tables import Cell, Table
from etl.report.wording import counted, moment, printable, thousands
from etl.snapshot.check import Checked
from etl.snapshot.manifest import Manifest, sealed


def files_table(manifest: Manifest) -> Table:
    """One row for each file."""
    rows: list[list[Cell]] = [[f.path, thousands(f.rows), thousands(f.bytes), f.sha256[:16]] for f in manifest.files]
    return Table(["file", "rows", "bytes", "sha256"], rows, frozenset({"rows", "bytes"}))


def closing_line(out: Path, manifest: Manifest) -> str:
    """Where it is, what it is of, and the digest to keep elsewhere."""
    accounts = counted(len(manifest.accounts), "account")
    return f"{printable(str(out))}: {accounts} as known at {manifest.as_of}; manifest digest {sealed(manifest)}."


def formats_line(manifest: Manifest, how: str) -> str:
    """Which formats were written where not all could be, and what brings the other one."""
    return f"Written as {' and '.join(sorted(manifest.notes))}; Parquet needs pyarrow, which is not installed. {how}."


def check_notes(checked: Checked, warehouse: str | None) -> Iterator[str]:
    """What was looked at, what it was compared with (None: no warehouse), and what it holds that was erased."""
    manifest = checked.manifest
    rows = sum(file.rows for file in manifest.files)
    files = f"{counted(len(manifest.files), 'file')}, {counted(rows, 'row')}"
    yield f"As known at {printable(manifest.as_of)}: {counted(len(manifest.accounts), 'account')}, {files}."
    if warehouse is None:
        yield "Compared with its own manifest only, for there is no warehouse at hand."
    else:
        yield f"Compared with its manifest and with {warehouse}."
    if checked.still_held:
        numbers = sorted({(account_id, number_id) for account_id, number_id, _ in checked.still_held})
        named = ", ".join(f"{number_id} of account {account_id}" for account_id, number_id in numbers[:5])
        last = moment(max(checked.still_held.values()))
        yield (
            f"It is from before an erasure and still holds what was erased, the last at {last} UTC: "
            f"{counted(len(numbers), 'number')} ({named}{', ...' if len(numbers) > 5 else ''}). "
            "Delete it and take it anew."
        )
