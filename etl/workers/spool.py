"""Parts of a listing that memory need not hold: in a temporary file that has no name and goes with its processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from etl.errors import LocalTrouble

Extent = tuple[int, int]
"""Where a part is: its first byte, and how many there are."""


class Spool:
    """Takes parts and gives them back. What the disk refuses is raised as `LocalTrouble`."""

    def __init__(self) -> None:
        with _disk_errors():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._end = 0

    @property
    def descriptor(self) -> int:
        """The open file, for a process that shares it."""
        return self._file.fileno()

    def add(self, part: bytes) -> Extent:
        """Keep a part."""
        with _disk_errors():
            write(self.descriptor, part, self._end)
        extent = (self._end, len(part))
        self._end += len(part)
        return extent

    def part(self, extent: Extent) -> bytes:
        """A part that was kept here, by this process or by one that shares the file."""
        with _disk_errors():
            return read(self.descriptor, extent)

    def clear(self) -> None:
        """Give the room back, and begin anew."""
        with _disk_errors():
            os.ftruncate(self.descriptor, 0)
        self._end = 0

    def close(self) -> None:
        """Give the room back."""
        self._file.close()


def write(descriptor: int, part: bytes, at: int) -> None:
    """Write the whole part, from this byte of the file on."""
    view = memoryview(part)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written


def read(descriptor: int, extent: Extent) -> bytes:
    """The bytes at a place."""
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
    """The error for what the disk refused; `why` in the system's words."""
    folder = tempfile.tempdir or "the temporary folder"  # where there is none, asking for it fails once more
    return LocalTrouble(
        f"the listing cannot be kept in a temporary file: {why}",
        remedy=f"Make room in {folder}, or set TMPDIR to a folder that has some",
    )
