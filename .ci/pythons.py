"""The Pythons from 3.11 on that are found here, on the PATH and among pyenv's: a line each, `3.12 /path/to/python3.12`.

Of each minor version the newest is taken that works: it starts, is a released CPython with its lock, and makes
environments. With a version as argument (`3.11`), that one is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

OLDEST = (3, 11)
NAME = re.compile(r"python3\.\d+")
ASK = """
import ensurepip, sys, sysconfig, venv
usual = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
sys.exit(print(*sys.version_info[:3]) if usual and sys.version_info.releaselevel == "final" else 1)
"""
Version = tuple[int, ...]


def folders() -> Iterator[Path]:
    """Where interpreters may be."""
    yield from map(Path, os.environ.get("PATH", os.defpath).split(os.pathsep))
    yield from Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin")


def interpreters(among: Iterable[Path]) -> Iterator[Path]:
    """The files that are named as interpreters are."""
    for folder in among:
        yield from sorted(path for path in folder.glob("python3.*") if NAME.fullmatch(path.name))


def version_of(python: Path) -> Version | None:
    """Its version in three parts; None for what does not work, such as pyenv's stand-in for one that is not chosen."""
    try:
        done = subprocess.run([python, "-c", ASK], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None


def newest(found: Iterable[tuple[Version, Path]]) -> dict[str, Path]:
    """The newest of each minor version, oldest minor version first; of equal ones the first."""
    best: dict[Version, tuple[Version, Path]] = {}
    for version, python in found:
        minor = version[:2]
        if minor >= OLDEST and (minor not in best or version > best[minor][0]):
            best[minor] = version, python
    return {".".join(map(str, minor)): best[minor][1] for minor in sorted(best)}


def main() -> None:
    """Print them."""
    asked = ((version_of(python), python) for python in interpreters(folders()))
    found = newest((version, python) for version, python in asked if version)
    sys.stdout.writelines(f"{minor} {python}\n" for minor, python in found.items() if minor not in sys.argv[1:])


if __name__ == "__main__":
    main()
