"""Writer of snapshots: every table as of an instant, or its history up to it, in files, with a manifest.

The folder appears atomically.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

import etl
from etl.errors import LocalTrouble, Usage
from etl.files import flush_folder
from etl.read import as_of
from etl.snapshot import csv_text
from etl.snapshot.encoders import ENCODERS
from etl.snapshot.manifest import FORMAT_VERSION, NAME, DescribedTable, File, Manifest, SeenAccount, dumps
from etl.snapshot.rows import HISTORY_SHEETS, SHEETS, Sheet, batches, time_text
from etl.store.engine import begin_reading, database_errors

NOTES = {
    "csv": csv_text.RULE,
    "ndjson": "one JSON object on each line, UTF-8",
    "parquet": "zstd; extra is JSON text, times are UTC to the microsecond",
}
PARTIAL = ".partial-"
"""Part of the name of a folder that is still being written."""


def write_snapshot(
    engine: Engine, moment: datetime, out: Path, formats: Sequence[str], *, history: bool = False
) -> Manifest:
    """Write the nine tables as of `moment` into the new folder `out`, in each of `formats`; return the manifest.

    `history`: all versions up to `moment` instead of those valid then.

    All tables are read from one state of the warehouse. The folder has a temporary name until everything is on the
    disk. Raises `Usage` for an instant before the first observation or a folder that is not empty, `LocalTrouble` for
    errors of the disk.
    """
    _refuse_occupied(out)
    sheets = HISTORY_SHEETS if history else SHEETS
    with database_errors(), begin_reading(engine) as connection:
        as_of.refuse_unknown(connection, moment, "--as-of", ())
        with _new_folder(out) as folder:
            files = [file for sheet in sheets for file in _write(connection, sheet, moment, folder, formats)]
            manifest = Manifest(
                as_of=time_text(moment),
                format_version=FORMAT_VERSION,
                vnsync_version=etl.__version__,
                accounts=seen_accounts(connection, moment),
                files=tuple(sorted(files, key=lambda f: f.path)),
                tables=tuple(
                    DescribedTable(name=sheet.name, description=sheet.sentence, columns=sheet.sentences)
                    for sheet in sheets
                ),
                notes={name: NOTES[name] for name in sorted(formats)},
            )
            with _new_file(folder / NAME) as stream:
                stream.write(dumps(manifest))
    return manifest


def seen_accounts(connection: Connection, moment: datetime) -> tuple[SeenAccount, ...]:
    """Accounts that were observed by an instant, as a manifest lists them."""
    return tuple(
        SeenAccount(account_id=seen.account_id, observed_at=time_text(seen.observed_at), chain_digest=seen.chain_digest)
        for seen in as_of.observed(connection, moment)
    )


def _write(connection: Connection, sheet: Sheet, moment: datetime, folder: Path, formats: Sequence[str]) -> list[File]:
    """Write one table to a file in each format; the table is read once."""
    with contextlib.ExitStack() as stack:
        streams = {name: stack.enter_context(_digesting(folder / f"{sheet.name}.{name}")) for name in formats}
        encoders = [ENCODERS[name](sheet, stream) for name, stream in streams.items()]
        for encoder in encoders:
            stack.callback(encoder.abandon)
        rows = 0
        for batch in batches(connection, sheet, moment):
            rows += len(batch)
            for encoder in encoders:
                encoder.write(batch)
        for encoder in encoders:
            encoder.finish()
        return [
            File(path=f"{sheet.name}.{name}", sha256=stream.digest, bytes=stream.size, rows=rows)
            for name, stream in streams.items()
        ]


class Digesting(io.RawIOBase):
    """Output stream that counts the bytes written through it and computes their SHA-256."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._sha256, self.size = stream, hashlib.sha256(), 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Number of bytes written so far."""
        return self.size

    def write(self, data: Any) -> int:
        """Write the data, count it and add it to the digest."""
        self._stream.write(data)
        self._sha256.update(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> str:
        """SHA-256 so far, in hex."""
        return self._sha256.hexdigest()


# -- files readable only by their owner, in a folder that appears atomically


@contextlib.contextmanager
def _digesting(path: Path) -> Iterator[Any]:
    with _new_file(path) as stream:
        yield Digesting(stream)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Any]:
    """Open a new file; it is on the disk when the block ends."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=1 << 20) as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _refuse_occupied(out: Path) -> None:
    """Raise `Usage` if the folder exists and is not empty, because nothing is overwritten."""
    try:
        if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise Usage(f"{out} already exists and is not an empty folder", remedy="Name a new folder with --out.")
    except OSError as exc:
        raise LocalTrouble(f"cannot read the folder {out}: {exc.strerror}") from exc


@contextlib.contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Temporary folder next to `out`; it is renamed to `out` if the block succeeds, and removed if it fails."""
    part = out.absolute().with_name(f".{out.absolute().name}{PARTIAL}{platform.node()}-{os.getpid()}")
    try:
        part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_leftovers(out.absolute())
        part.mkdir(mode=0o700)
        yield part
        flush_folder(part)
        part.rename(out.absolute())
        flush_folder(out.absolute().parent)
    except OSError as exc:
        raise LocalTrouble(f"cannot write the snapshot {out}: {exc.strerror or type(exc).__name__}") from exc
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _remove_leftovers(out: Path) -> None:
    """Remove temporary folders that killed processes of this machine left, because they contain phone numbers."""
    for left in out.parent.glob(f".{glob.escape(out.name)}{PARTIAL}{glob.escape(platform.node())}-*"):
        pid = left.name.rpartition("-")[2]
        if pid.isdecimal() and not _is_alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # a process of another user, or not a process number
        return True
    return True
