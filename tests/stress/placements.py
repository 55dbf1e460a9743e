"""Placements of links, FIFOs, sockets, folders and foreign files in a folder that vnsync wrote, and their removal."""

from __future__ import annotations

import os
import random
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

Content = dict[Path, bytes | None]
"""Content of a folder: the bytes of each file, None for each folder."""


def content(folder: Path) -> Content:
    """The content of the folder and all subfolders; special files are not opened."""
    found: Content = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            found[path] = None
        elif stat.S_ISREG(mode):
            found[path] = path.read_bytes()
        else:
            found[path] = b"special"
    return found


def restore(folder: Path, kept: Content) -> None:
    """Make `kept` the folder's only content."""
    for path in sorted(folder.rglob("*"), reverse=True):
        mode = path.lstat().st_mode
        if path not in kept or stat.S_ISDIR(mode) != (kept[path] is None):
            _remove(path)
    for path, was in kept.items():
        if was is None:
            if path.is_symlink():
                path.unlink()
            path.mkdir(exist_ok=True)
        elif path.is_symlink() or not path.is_file() or path.read_bytes() != was:
            path.unlink(missing_ok=True)
            path.write_bytes(was)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Placer:
    """Draws placements. Each returns the name that must be reported."""

    def __init__(self, folder: Path, elsewhere: Path, dice: random.Random) -> None:
        self._folder, self._elsewhere, self._dice = folder, elsewhere, dice
        self._things: list[Callable[[Path], None]] = [
            self._link,
            self._fifo,
            self._socket,
            self._folder_of,
            self._dangling,
        ]

    def place(self) -> tuple[str, set[str]]:
        """Place one object instead of a file or folder, or at a new path."""
        shutil.rmtree(self._elsewhere, ignore_errors=True)
        self._elsewhere.mkdir()
        paths = sorted(self._folder.rglob("*"))
        path = self._dice.choice(paths)
        thing = self._dice.choice(self._things)
        if self._dice.random() < 0.3:
            path = path.with_name(f"{self._dice.randrange(16**8):08x}{path.suffix}")
        elif thing == self._folder_of and path.is_dir():
            thing = self._link
        thing(path)
        return f"place{thing.__name__}", {path.name, f"{path.parent.name}{path.stem}"[:16]}

    def _kept(self, path: Path) -> Path:
        """The path of the original, moved out of the folder; an empty file if there was none."""
        kept = self._elsewhere / "kept"
        if path.exists():
            path.rename(kept)
        else:
            kept.touch()
        return kept

    def _link(self, path: Path) -> None:
        path.symlink_to(self._kept(path))

    def _dangling(self, path: Path) -> None:
        self._kept(path)
        path.symlink_to(self._elsewhere / "nowhere")

    def _fifo(self, path: Path) -> None:
        self._kept(path)
        os.mkfifo(path)

    def _socket(self, path: Path) -> None:
        self._kept(path)
        with socket.socket(socket.AF_UNIX) as made:
            descriptor = os.open(path.parent, os.O_RDONLY)
            try:
                made.bind(f"/proc/self/fd/{descriptor}/{path.name}")
            finally:
                os.close(descriptor)

    def _folder_of(self, path: Path) -> None:
        self._kept(path)
        path.mkdir()
