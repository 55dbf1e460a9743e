"""`snapshot`: every table as known at a moment, in files, with a manifest; whole or not there at all."""

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
from etl.read import as_of
from etl.snapshot import csv_text
from etl.snapshot.encoders import ENCODERS
from etl.snapshot.manifest import FORMAT_VERSION, NAME, File, Manifest, SeenAccount, dumps
from etl.snapshot.rows import SHEETS, Sheet, batches, time_text
from etl.store.engine import begin_reading, database_errors

NOTES = {
    "csv": csv_text.RULE,
    "ndjson": "one JSON object on each line, UTF-8",
    "parquet": "zstd; extra is JSON text, times are UTC to the microsecond",
}
PARTIAL = ".partial-"
"""In the name of a folder that is still being written."""


def write_snapshot(engine: Engine, moment: datetime, out: Path, formats: Sequence[str]) -> Manifest:
    """Write the nine tables as known at `moment` into the new folder `out`, in each of `formats`; its manifest.

    All of it is read from one state of the warehouse. Until everything is on disk the folder has another name. Raises
    `Usage` for a moment of which nothing is known or a folder that is not empty, `LocalTrouble` for the disk's part.
    """
    _refuse_occupied(out)
    with database_errors(), begin_reading(engine) as connection:
        as_of.refuse_unknown(connection, moment, "--as-of", ())
        with _new_folder(out) as folder:
            files = [file for sheet in SHEETS for file in _write(connection, sheet, moment, folder, formats)]
            manifest = Manifest(
                as_of=time_text(moment),
                format_version=FORMAT_VERSION,
                vnsync_version=etl.__version__,
                accounts=seen_accounts(connection, moment),
                files=tuple(sorted(files, key=lambda f: f.path)),
                notes={name: NOTES[name] for name in sorted(formats)},
            )
            with _new_file(folder / NAME) as stream:
                stream.write(dumps(manifest))
    return manifest


def seen_accounts(connection: Connection, moment: datetime) -> tuple[SeenAccount, ...]:
    """The accounts known at the moment, as a manifest names them."""
    return tuple(
        SeenAccount(account_id=seen.account_id, observed_at=time_text(seen.observed_at), chain_digest=seen.chain_digest)
        for seen in as_of.observed(connection, moment)
    )


def _write(connection: Connection, sheet: Sheet, moment: datetime, folder: Path, formats: Sequence[str]) -> list[File]:
    """One table into a file of each format, read once."""
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
    """A stream that knows the SHA-256 and the size of what was written through it."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._sha256, self.size = stream, hashlib.sha256(), 0

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def tell(self) -> int:
        """How much was written."""
        return self.size

    def write(self, data: Any) -> int:
        """Pass it on, and count it."""
        self._stream.write(data)
        self._sha256.update(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> str:
        """The SHA-256 so far, in hex."""
        return self._sha256.hexdigest()


# -- files that nobody else may read, in a folder that is whole or not there


@contextlib.contextmanager
def _digesting(path: Path) -> Iterator[Any]:
    with _new_file(path) as stream:
        yield Digesting(stream)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Any]:
    """A new file, on disk when it is closed."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=1 << 20) as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _refuse_occupied(out: Path) -> None:
    """Raises `Usage` when the folder is there and holds something: nothing is overwritten."""
    try:
        if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise Usage(f"{out} is there already and is not an empty folder", remedy="Name a new folder with --out.")
    except OSError as exc:
        raise LocalTrouble(f"cannot look into {out}: {exc.strerror}") from exc


@contextlib.contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that gets its name when the block ends well, and is removed when it does not."""
    part = out.absolute().with_name(f".{out.absolute().name}{PARTIAL}{platform.node()}-{os.getpid()}")
    try:
        part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_leftovers(out.absolute())
        part.mkdir(mode=0o700)
        yield part
        _sync(part)
        part.rename(out.absolute())
        _sync(out.absolute().parent)
    except OSError as exc:
        raise LocalTrouble(f"cannot write the snapshot {out}: {exc.strerror or type(exc).__name__}") from exc
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _remove_leftovers(out: Path) -> None:
    """What a process of this machine that was killed left of this snapshot: phone numbers that nobody looks for."""
    for left in out.parent.glob(f".{glob.escape(out.name)}{PARTIAL}{glob.escape(platform.node())}-*"):
        pid = left.name.rpartition("-")[2]
        if pid.isdecimal() and not _is_alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's, or no process number at all
        return True
    return True


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
