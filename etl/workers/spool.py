"""Temporary file for parts of a listing, to save memory. It has no name, and ends with the processes that use it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from etl.errors import LocalTrouble

Extent = tuple[int, int]
"""Position of a part in the file: its first byte, and its length in bytes."""


class Spool:
    """Temporary file of parts. Errors of the disk are raised as `LocalTrouble`."""

    def __init__(self) -> None:
        with _disk_errors():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._end = 0

    @property
    def descriptor(self) -> int:
        """File descriptor, for a process that shares the file."""
        return self._file.fileno()

    def add(self, part: bytes) -> Extent:
        """Write a part, and return its position."""
        with _disk_errors():
            write(self.descriptor, part, self._end)
        extent = (self._end, len(part))
        self._end += len(part)
        return extent

    def part(self, extent: Extent) -> bytes:
        """Read a part that this process, or one that shares the file, wrote."""
        with _disk_errors():
            return read(self.descriptor, extent)

    def clear(self) -> None:
        """Free the disk space; the next part is written at the start."""
        with _disk_errors():
            os.ftruncate(self.descriptor, 0)
        self._end = 0

    def close(self) -> None:
        """Close the file, which frees its disk space."""
        self._file.close()


def write(descriptor: int, part: bytes, at: int) -> None:
    """Write the whole part at byte `at` of the file."""
    view = memoryview(part)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written


def read(descriptor: int, extent: Extent) -> bytes:
    """Read the bytes of an extent. Raises `OSError` when the file is shorter."""
    at, rest = extent
    pieces = []
    while rest:
        piece = os.pread(descriptor, rest, at)
        if not piece:
            raise OSError(None, "the file was cut short")
        pieces.append(piece)
        at, rest = at + len(piece), rest - len(piece)
    return b"".join(pieces)


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise no_room(str(exc.strerror)) from exc


def no_room(why: str) -> LocalTrouble:
    """Error for a write that the disk refused; `why`: the system's error text."""
    folder = tempfile.tempdir or "the temporary folder"  # not gettempdir(), which raises if there is no such folder
    return LocalTrouble(
        f"the listing cannot be kept in a temporary file: {why}",
        remedy=f"Free disk space in {folder}, or set TMPDIR to a folder that has some",
    )
