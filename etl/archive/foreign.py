"""Files, folders and links in an archive that vnsync does not write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from etl.archive.layout import (
    ERASURE,
    LARGEST_MARKER,
    MARK,
    MARKER,
    OBJECT,
    PART,
    RUN,
    TEMPORARY,
    TOMBSTONE,
    Layout,
    is_folder,
    listed,
    local_trouble,
    shown,
)
from etl.files import kind_of

_FOLDERS = ("objects", "runs", "erasures")


def foreign_entries(layout: Layout) -> Iterator[str]:
    """One sentence for each entry that does not belong to the archive, or is not of the expected kind."""
    if layout.read(layout.folder / MARKER, LARGEST_MARKER) != MARK:
        yield f"{shown(layout.folder / MARKER)} has more content than vnsync writes"
    for name in sorted(listed(layout.folder)):
        if name in _FOLDERS:
            yield from _wrong_folder(layout.folder / name)
        elif name != MARKER:
            yield from _wrong_file(layout.folder / name, ())
    yield from _wrong_files(layout.runs, (RUN, TOMBSTONE))
    yield from _wrong_files(layout.erasures, (ERASURE,))
    for part in sorted(listed(layout.objects)):
        if not PART.fullmatch(part) or not is_folder(layout.objects / part):
            yield _foreign(layout.objects / part)
        else:
            yield from _wrong_files(layout.objects / part, (OBJECT,))


def _wrong_files(folder: Path, patterns: Sequence[re.Pattern[str]]) -> Iterator[str]:
    for name in sorted(listed(folder)):
        yield from _wrong_file(folder / name, patterns)


def _wrong_file(path: Path, patterns: Sequence[re.Pattern[str]]) -> Iterator[str]:
    if not any(pattern.fullmatch(path.name) for pattern in (*patterns, TEMPORARY)):
        yield _foreign(path)
        return
    with local_trouble(path):
        kind = kind_of(path)
    if kind is not None:
        yield f"{shown(path)} is {kind}, not a file"


def _wrong_folder(path: Path) -> Iterator[str]:
    if not is_folder(path):
        yield f"{shown(path)} is not a folder, or is a link to a folder"


def _foreign(path: Path) -> str:
    return f"{shown(path)} does not belong to the archive"
