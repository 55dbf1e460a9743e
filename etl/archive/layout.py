"""Paths of an archive's files, and the functions that read and write them: private, atomic and durable on return."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from msgspec import Struct

from etl.errors import IntegrityBroken, LocalTrouble, Usage
from etl.files import WrongKind, flush_folder, open_regular

MARKER = "vnsync-archive.json"
FORMAT = 1
RESTORE = "Restore the archive from a copy"
_MARK = {"format": "vnsync-archive", "version": FORMAT}
MARK = json.dumps(_MARK).encode() + b"\n"
"""Content of the marker file."""
DIGEST = re.compile(r"[0-9a-f]{64}")
PART = re.compile(r"[0-9a-f]{2}")
OBJECT = re.compile(r"[0-9a-f]{62}\.gz")
_NUMBER = "(0|[1-9][0-9]{0,18})"
RUN = re.compile(_NUMBER + r"\.jsonl")
TOMBSTONE = re.compile(_NUMBER + r"\.pruned\.json")
ERASURE = re.compile(_NUMBER + r"\.json")
TEMPORARY = re.compile(r"\.new-.*")
LARGEST_MARKER = 4096


class Missing(IntegrityBroken):
    """A file of the archive is missing."""


class Layout(Struct, frozen=True):
    """Paths in the archive at `folder`."""

    folder: Path

    @property
    def runs(self) -> Path:
        """Folder of manifests and tombstones."""
        return self.folder / "runs"

    @property
    def objects(self) -> Path:
        """Folder of responses."""
        return self.folder / "objects"

    @property
    def erasures(self) -> Path:
        """Folder of erasure records."""
        return self.folder / "erasures"

    def manifest(self, run_id: int) -> Path:
        """Path of a run's manifest."""
        return self.runs / f"{run_id}.jsonl"

    def tombstone(self, run_id: int) -> Path:
        """Path of a run's tombstone, which lists its pruned responses."""
        return self.runs / f"{run_id}.pruned.json"

    def erasure(self, number: int) -> Path:
        """Path of an erasure record."""
        return self.erasures / f"{number}.json"

    def object(self, digest: str) -> Path:
        """Path of a response, given the SHA-256 of its bytes."""
        return self.objects / digest[:2] / f"{digest[2:]}.gz"

    @contextlib.contextmanager
    def reading(self, path: Path) -> Iterator[IO[bytes]]:
        """Open a regular file of the archive for reading; links are not followed.

        Raises `Missing` when the file does not exist, `IntegrityBroken` when the path is not a regular file,
        `LocalTrouble` when it cannot be read.
        """
        try:
            with local_trouble(path), open_regular(path, below=self.folder) as stream:
                yield stream
        except LocalTrouble as exc:
            if isinstance(exc.__cause__, FileNotFoundError):
                raise Missing(f"{path} is missing", remedy=RESTORE) from None
            if isinstance(exc.__cause__, WrongKind):
                raise IntegrityBroken(f"{path}: {exc.__cause__.strerror}", remedy=RESTORE) from None
            raise

    def read(self, path: Path, most: int) -> bytes:
        """Content of a file of the archive. Raises `IntegrityBroken` above `most` bytes, and as `reading` does."""
        with self.reading(path) as stream:
            content = stream.read(most + 1)
        if len(content) > most:
            raise IntegrityBroken(f"{path} is larger than {most} bytes", remedy=RESTORE)
        return content

    def run_ids(self) -> list[int]:
        """Ids of the runs that have a manifest, in ascending order."""
        return _numbers(self.runs, RUN)

    def pruned_ids(self) -> list[int]:
        """Ids of the runs that have a tombstone, in ascending order."""
        return _numbers(self.runs, TOMBSTONE)

    def digests(self) -> Iterator[str]:
        """Digests of all objects, in order."""
        for folder in sorted(listed(self.objects)):
            for name in sorted(listed(self.objects / folder)):
                digest = folder + name.removesuffix(".gz")
                if name.endswith(".gz") and DIGEST.fullmatch(digest):
                    yield digest


def _numbers(folder: Path, pattern: re.Pattern[str]) -> list[int]:
    return sorted(int(found[1]) for name in listed(folder) if (found := pattern.fullmatch(name)))


def listed(folder: Path) -> list[str]:
    """Names in a folder; an empty list when the path is not a folder, or is a link."""
    with local_trouble(folder):
        return os.listdir(folder) if is_folder(folder) else []


def shown(path: Path) -> str:
    """Path as printable text, whatever bytes its name has."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; a link to a folder does not count."""
    return path.is_dir() and not path.is_symlink()


def existing(folder: Path) -> Layout:
    """Existing archive. Raises `Usage` for a folder that is not an archive, `IntegrityBroken` for another format."""
    layout, marker = Layout(folder), folder / MARKER
    try:
        text = layout.read(marker, LARGEST_MARKER)
    except Missing:
        raise Usage(
            f"{folder} is not a vnsync archive", remedy="Name the folder that `vnsync sync --archive` wrote"
        ) from None
    try:
        found = json.loads(text)
        known = found["format"] == _MARK["format"] and found["version"] == FORMAT
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise IntegrityBroken(
            f"{marker} does not name format {FORMAT}", remedy="Read it with the vnsync version that wrote it"
        )
    return layout


def prepared(folder: Path) -> Layout:
    """Archive to write to; created if it does not exist. Raises `LocalTrouble` for a folder with other content."""
    layout = Layout(folder)
    marker = folder / MARKER
    with local_trouble(folder):
        _make(folder)
        if not marker.exists() and not marker.is_symlink():
            foreign = [name for name in os.listdir(folder) if not TEMPORARY.fullmatch(name) and name != "objects"]
            if foreign:
                raise LocalTrouble(
                    f"{folder} is neither empty nor a vnsync archive", remedy="Name a new or empty folder"
                )
            write_whole(marker, MARK)
        for part in (layout.objects, layout.runs):
            make_within(part)
        if not os.access(layout.runs, os.W_OK | os.X_OK):
            raise LocalTrouble(f"{layout.runs} cannot be written", remedy="Check the archive's owner and permissions")
    return existing(folder)


def _make(folder: Path) -> None:
    """Create a folder that only its owner can access, and its parent folders."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
            os.chmod(folder, 0o700)


def make_within(folder: Path) -> None:
    """Create a folder of the archive. Raises `WrongKind` for a link, because its target is not part of the archive."""
    if folder.is_symlink():
        raise WrongKind(errno.ELOOP, "it is a link, not a folder", str(folder))
    _make(folder)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically, readable only by its owner; content and name are durable on return."""
    new = path.with_name(f".new-{path.name}-{os.getpid()}-{threading.get_ident()}")
    with local_trouble(path):
        try:
            write_private(new, content)
            os.replace(new, path)
        finally:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
        flush_folder(path.parent)


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read; its content is durable on return."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of the content, even if the system accepts only a part of it per call."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


@contextlib.contextmanager
def local_trouble(path: Path) -> Iterator[None]:
    """Turn an `OSError` about the archive into `LocalTrouble`."""
    try:
        yield
    except OSError as exc:
        where = exc.filename or path
        raise LocalTrouble(
            f"the archive cannot be used ({where}): {exc.strerror or exc}",
            remedy="Check free disk space and permissions; without the archive, nothing is published",
        ) from exc
