"""Safe opening of regular files in folders that other users may write to: follows no link, opens no FIFO or device."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class WrongKind(OSError):
    """Error for a path that is not a regular file, or that leads through a link; `strerror` names the kind."""


class TooLarge(OSError):
    """Error for a file larger than its reader accepts."""


def kind_of(path: Path) -> str | None:
    """Kind of the entry at `path` if it is not a regular file ("a link", "a FIFO"); None for a regular file.

    Raises `OSError` when there is no entry.
    """
    return _kind(path.lstat().st_mode)


def _kind(mode: int) -> str | None:
    return None if stat.S_ISREG(mode) else next((name for test, name in _KINDS if test(mode)), "not a regular file")


@contextlib.contextmanager
def open_regular(path: Path, *, below: Path) -> Iterator[BufferedReader]:
    """Binary stream of the regular file at `path`; neither it nor a folder between `below` and it may be a link.

    `below` itself may be a link: its name comes from the operator. Raises `WrongKind` before it opens a special file,
    and the system's other errors, such as `FileNotFoundError`.
    """
    *folders, name = path.relative_to(below).parts
    descriptor = os.open(below, _DIRECTORY)
    try:
        for folder in folders:
            inner = _opened(folder, _DIRECTORY | os.O_NOFOLLOW, descriptor, path)
            os.close(descriptor)
            descriptor = inner
        refuse_special(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode, path)
        file = _opened(name, _FILE, descriptor, path)
    finally:
        os.close(descriptor)
    with os.fdopen(file, "rb") as stream:
        refuse_special(os.fstat(file).st_mode, path)
        yield stream


@contextlib.contextmanager
def open_followed(path: Path) -> Iterator[BufferedReader]:
    """Binary stream of the regular file at `path`. Follows links, for paths that the operator chose.

    Raises `WrongKind` before it opens a folder, FIFO or device, on which a reader could wait forever.
    """
    refuse_special(path.stat().st_mode, path)
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as stream:
        refuse_special(os.fstat(file).st_mode, path)
        yield stream


def _opened(name: str, flags: int, folder: int, path: Path) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENOTDIR):
            raise WrongKind(exc.errno, f"{name} is a link or not a folder", str(path)) from exc
        raise


def refuse_special(mode: int, path: Path) -> None:
    """Raises `WrongKind` unless `mode` is that of a regular file."""
    if (kind := _kind(mode)) is not None:
        raise WrongKind(errno.EINVAL, f"it is {kind}, not a file", str(path))


def read_regular(path: Path, *, below: Path, most: int) -> bytes:
    """Content of the regular file at `path`. Raises `TooLarge` above `most` bytes, and the errors of `open_regular`."""
    with open_regular(path, below=below) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise TooLarge(errno.EFBIG, f"it is larger than {most} bytes", str(path))
    return content


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append(path: Path, content: bytes) -> None:
    """Append to the regular file at `path`, in one write, so that the lines of several processes stay whole.

    A new file is readable by its owner only. Follows links, for paths that the operator chose. Raises `OSError`.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    try:
        refuse_special(os.fstat(file).st_mode, path)
        if os.write(file, content) < len(content):
            raise OSError(errno.ENOSPC, "only a part was written", str(path))
    finally:
        os.close(file)
