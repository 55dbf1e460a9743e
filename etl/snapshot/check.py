"""Check of a snapshot against its manifest, and, if the warehouse is given, against the warehouse at that instant.

Without the warehouse, the check finds every file that was edited, truncated, added or deleted, and every edit of the
manifest that does not recompute its digests. With the warehouse, each table is written again and compared, so no digest
has to be trusted. Erased content that an older snapshot still has is reported, but is not a problem of the snapshot.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from io import BufferedReader
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from msgspec import Struct
from sqlalchemy import Connection, Engine

from etl.domain.instants import parse_instant
from etl.domain.tables import VIRTUAL_NUMBERS
from etl.errors import IntegrityBroken, LocalTrouble, Usage
from etl.files import TooLarge, WrongKind, open_regular, read_regular
from etl.read.erased import Version, erased_versions
from etl.snapshot import parquet
from etl.snapshot.encoders import ENCODERS
from etl.snapshot.manifest import LARGEST, NAME, Manifest, dumps, loads
from etl.snapshot.rows import HISTORY_SHEETS, SHEETS, Sheet, batches
from etl.snapshot.still_held import Copy, still_held
from etl.snapshot.write import seen_accounts
from etl.store.engine import begin_reading, database_errors

_SHEETS = {sheet.name: sheet for sheet in (*SHEETS, *HISTORY_SHEETS)}
_NAMES = {f"{sheet}.{name}" for sheet in _SHEETS for name in ENCODERS}


class Problem(Struct, frozen=True, kw_only=True):
    """Problem of a snapshot; `where`: the file or the account; `what`: the problem, as the end of a sentence."""

    where: str
    what: str


class Checked(Struct, frozen=True, kw_only=True):
    """Result of a check: the manifest, and the problems in the order of the files.

    `still_held`: versions of numbers whose erased content the files still have, and when each was erased.
    """

    manifest: Manifest
    problems: tuple[Problem, ...]
    still_held: Mapping[Version, datetime]


def is_snapshot(folder: Path) -> bool:
    """Whether the folder has a manifest, or files with names that only a snapshot has."""
    try:
        return os.path.lexists(folder / NAME) or any(path.name in _NAMES for path in folder.iterdir())
    except OSError:
        return False


def check(folder: Path, engine: Engine | None) -> Checked:
    """Check a snapshot, and return all its problems.

    `engine`: warehouse to compare with, if any. Raises `Usage` when the folder is not a snapshot, `IntegrityBroken`
    when its manifest is missing or invalid, `LocalTrouble` when a file cannot be read.
    """
    content = _manifest(folder)
    try:
        manifest = loads(content)
        moment = parse_instant(manifest.as_of)
    except ValueError as exc:
        raise IntegrityBroken(f"{folder / NAME} cannot be read: {exc}", remedy="Take a new snapshot") from exc
    problems = list(_files(folder, manifest))
    held: dict[Version, datetime] = {}
    if engine is not None:
        broken = {problem.where for problem in problems}
        problems += _against(engine, folder, manifest, moment, broken, held)
    if dumps(manifest) != content:
        problems.insert(0, Problem(where=NAME, what="was edited: its digest does not match its content"))
    return Checked(manifest=manifest, problems=tuple(problems), still_held=held)


def _manifest(folder: Path) -> bytes:
    path = folder / NAME
    try:
        return read_regular(path, below=folder, most=LARGEST)
    except FileNotFoundError:
        if not is_snapshot(folder):
            raise Usage(
                f"{folder} is not a snapshot: it has no {NAME}", remedy="Name a folder that `vnsync snapshot` wrote."
            ) from None
        raise IntegrityBroken(f"{path} is missing", remedy="Take a new snapshot") from None
    except (WrongKind, TooLarge) as exc:
        raise IntegrityBroken(f"{path} is not a manifest: {exc.strerror}", remedy="Take a new snapshot") from None
    except OSError as exc:
        raise LocalTrouble(f"cannot read {path}: {exc.strerror}", remedy=_READABLE) from exc


_READABLE = "Check that this user may read it, and that the disk has no errors."


# -- files, compared with the manifest


def _files(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    listed = [file.path for file in manifest.files]
    formats = {path.rpartition(".")[2] for path in listed}
    sheets = HISTORY_SHEETS if any("_history." in path for path in listed) else SHEETS
    wanted = {f"{sheet.name}.{name}" for sheet in sheets for name in formats}
    if set(listed) != wanted or len(listed) != len(wanted) or not wanted <= _NAMES:
        yield Problem(where=NAME, what="does not name each table exactly once in each format")
    for file in manifest.files:
        if file.path in _NAMES:
            yield from _file(folder / file.path, file.bytes, file.sha256)
    for path in sorted(folder.iterdir()):
        if path.name not in {*listed, NAME}:
            yield Problem(where=path.name, what="is not in the manifest")


def _file(path: Path, size: int, sha256: str) -> Iterator[Problem]:
    try:
        if path.is_symlink() or not path.is_file():
            exists = path.is_symlink() or path.exists()
            yield Problem(where=path.name, what="is not a file" if exists else "is missing")
            return
        found = path.stat().st_size
        if found != size:
            yield Problem(where=path.name, what=f"has {found} bytes, the manifest says {size}")
        elif _sha256(path) != sha256:
            yield Problem(where=path.name, what="was edited: its SHA-256 differs from the manifest's")
    except OSError as exc:
        raise LocalTrouble(f"cannot read {path}: {exc.strerror}", remedy=_READABLE) from exc


def _sha256(path: Path) -> str:
    with _opened(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _opened(path: Path) -> AbstractContextManager[BufferedReader]:
    return open_regular(path, below=path.parent)


# -- files, compared with the warehouse


def _against(
    engine: Engine,
    folder: Path,
    manifest: Manifest,
    moment: datetime,
    broken: set[str],
    held: dict[Version, datetime],
) -> Iterator[Problem]:
    """Differences from the warehouse; erased versions whose content a file still has are added to `held`."""
    with database_errors(), begin_reading(engine) as connection:
        yield from _accounts(connection, manifest, moment)
        erased = erased_versions(connection)
        for file in manifest.files:
            sheet, _, name = file.path.rpartition(".")
            if file.path not in _NAMES or file.path in broken:
                continue
            copy = Copy(sheet=_SHEETS[sheet], name=name, path=folder / file.path, moment=moment)
            for problem in _compared(connection, copy, file.rows):
                kept = still_held(connection, copy, erased) if erased and copy.sheet.table is VIRTUAL_NUMBERS else None
                if kept is None:
                    yield problem
                else:
                    held.update({version: erased[version] for version in kept})


def _accounts(connection: Connection, manifest: Manifest, moment: datetime) -> Iterator[Problem]:
    """Differences in the accounts, their observations and the heads of their chains."""
    in_manifest = {seen.account_id: seen for seen in manifest.accounts}
    in_warehouse = {seen.account_id: seen for seen in seen_accounts(connection, moment)}
    for account_id in sorted(in_manifest.keys() | in_warehouse.keys()):
        one, other = in_manifest.get(account_id), in_warehouse.get(account_id)
        where = f"account {account_id}"
        if one is None or other is None:
            yield Problem(where=where, what=f"is only in the {'warehouse' if one is None else 'snapshot'}")
        elif one.observed_at != other.observed_at:
            yield Problem(where=where, what=f"was observed at {other.observed_at}, the snapshot says {one.observed_at}")
        elif one.chain_digest != other.chain_digest:
            yield Problem(where=where, what="has another chain digest in the warehouse")


def _compared(connection: Connection, copy: Copy, manifest_rows: int) -> Iterator[Problem]:
    with _opened(copy.path) as stream:
        comparing = _ComparingStream(stream)
        rows = _encode(connection, copy.sheet, copy.name, copy.moment, comparing)
        if comparing.same():
            if rows != manifest_rows:
                yield Problem(where=copy.path.name, what=f"has {rows} rows, the manifest says {manifest_rows}")
            return
    if copy.name == "parquet":
        yield from _parquet_rows(connection, copy.sheet, copy.path, copy.moment)
    else:
        yield Problem(where=copy.path.name, what=f"line {comparing.line} differs from the warehouse as of that time")


def _encode(connection: Connection, sheet: Sheet, name: str, moment: datetime, stream: Any) -> int:
    """Write the sheet as of an instant, and return its number of rows."""
    encoder, rows = ENCODERS[name](sheet, stream), 0
    for batch in batches(connection, sheet, moment):
        encoder.write(batch)
        rows += len(batch)
    encoder.finish()
    return rows


def _parquet_rows(connection: Connection, sheet: Sheet, path: Path, moment: datetime) -> Iterator[Problem]:
    """Compare the rows, because another version of pyarrow writes the same rows as other bytes."""
    known = (row for batch in batches(connection, sheet, moment) for row in batch)
    try:
        with _opened(path) as stream:
            same = all(_plain(one) == _plain(other) for one, other in zip_longest(parquet.rows(stream), known))
    except parquet.Unreadable as exc:
        yield Problem(where=path.name, what=f"cannot be read ({exc})")
        return
    if not same:
        yield Problem(where=path.name, what="differs from the warehouse as of that time")


def _plain(row: tuple[Any, ...] | None) -> str:
    """Row as text in which values of different types are never equal."""
    return repr(None if row is None else [str(v) if isinstance(v, datetime) else v for v in row])


class _ComparingStream(io.RawIOBase):
    """Output stream that stores nothing: it compares the written bytes with a file. `line`: first line that differs."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._written, self._differs = stream, 0, False
        self.line = 1

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Number of bytes written so far."""
        return self._written

    def write(self, data: Any) -> int:
        """Compare the data with the same number of bytes of the file."""
        self._written += len(data)
        if not self._differs:
            self._compare(bytes(data))
        return len(data)

    def _compare(self, written: bytes) -> None:
        read = self._stream.read(len(written))
        if written == read:
            self.line += written.count(b"\n")
            return
        self._differs = True
        common = next((i for i, (a, b) in enumerate(zip(written, read, strict=False)) if a != b), len(read))
        self.line += written[:common].count(b"\n")

    def same(self) -> bool:
        """Whether the written bytes are the whole content of the file."""
        return not self._differs and not self._stream.read(1)
