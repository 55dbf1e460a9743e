"""Content of a snapshot as a table and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from etl.report.terminal.tables import Cell, Table
from etl.report.wording import counted, moment, printable, thousands
from etl.snapshot.check import Checked
from etl.snapshot.manifest import Manifest, sealed


def files_table(manifest: Manifest) -> Table:
    """Table with one row for each file."""
    rows: list[list[Cell]] = [[f.path, thousands(f.rows), thousands(f.bytes), f.sha256[:16]] for f in manifest.files]
    return Table(["file", "rows", "bytes", "sha256"], rows, frozenset({"rows", "bytes"}))


def closing_line(out: Path, manifest: Manifest) -> str:
    """Folder of the snapshot, its accounts and moment, and the digest of its manifest, to be kept elsewhere."""
    accounts = counted(len(manifest.accounts), "account")
    return f"{printable(str(out))}: {accounts} as known at {manifest.as_of}; manifest digest {sealed(manifest)}."


def formats_line(manifest: Manifest, how: str) -> str:
    """The formats that were written, and `how` to get Parquet, which could not be written."""
    return f"Written as {' and '.join(sorted(manifest.notes))}; Parquet needs pyarrow, which is not installed. {how}."


def check_notes(checked: Checked, warehouse: str | None) -> Iterator[str]:
    """The snapshot that was checked, the warehouse it was compared with (None: none), and erased content in it."""
    manifest = checked.manifest
    rows = sum(file.rows for file in manifest.files)
    files = f"{counted(len(manifest.files), 'file')}, {counted(rows, 'row')}"
    yield f"As known at {printable(manifest.as_of)}: {counted(len(manifest.accounts), 'account')}, {files}."
    if warehouse is None:
        yield "Compared only with its own manifest: there is no warehouse to compare with."
    else:
        yield f"Compared with its manifest and with {warehouse}."
    if checked.still_held:
        numbers = sorted({(account_id, number_id) for account_id, number_id, _ in checked.still_held})
        named = ", ".join(f"{number_id} of account {account_id}" for account_id, number_id in numbers[:5])
        last = moment(max(checked.still_held.values()))
        yield (
            f"It is from before an erasure and still has the erased content, the last erased at {last} UTC: "
            f"{counted(len(numbers), 'number')} ({named}{', ...' if len(numbers) > 5 else ''}). "
            "Delete it and create it again."
        )
