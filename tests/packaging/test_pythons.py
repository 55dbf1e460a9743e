"""`make pythons` finds each Python that the project promises, and the project's metadata name them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.support.checkout import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _stand_in(folder: Path, name: str, body: str) -> Path:
    """A program that is named as an interpreter."""
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / name
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    return python


def _found(path: Path, *arguments: str) -> list[str]:
    """Output of the script if these are the only folders."""
    command = [sys.executable, str(ROOT / ".ci" / "pythons.py"), *arguments]
    environment = {"PATH": str(path), "PYENV_ROOT": str(path / "pyenv")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_newest_of_each_minor_version_that_works_is_taken(tmp_path: Path) -> None:
    """From the PATH and from pyenv; nothing older than 3.11, and nothing that does not start."""
    _stand_in(tmp_path, "python3.9", "echo 3 9 1")
    _stand_in(tmp_path, "python3.11", "echo 3 11 9")
    _stand_in(tmp_path, "python3.12", "echo no such version is chosen >&2; exit 127")
    _stand_in(tmp_path, "python3.13-config", "echo 3 13 99")
    versions = tmp_path / "pyenv" / "versions"
    _stand_in(versions / "3.11.7" / "bin", "python3.11", "echo 3 11 7")
    twelve = _stand_in(versions / "3.12.1" / "bin", "python3.12", "echo 3 12 1")
    _stand_in(versions / "3.13.0" / "bin", "python3.13", "echo 3 13 0")
    thirteen = _stand_in(versions / "3.13.10" / "bin", "python3.13", "echo 3 13 10")
    others = [f"3.12 {twelve}", f"3.13 {thirteen}"]
    assert _found(tmp_path) == [f"3.11 {tmp_path / 'python3.11'}", *others]
    assert _found(tmp_path, "3.11") == others


def test_this_python_is_one_that_is_taken() -> None:
    """The question that interpreters are asked is answered by a real one."""
    name = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert name in [line.split()[0] for line in _found(Path(sys.base_prefix) / "bin")]


def test_metadata_name_the_oldest_python() -> None:
    """`requires-python`, the first classifier and the search agree."""
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert f"OLDEST = ({named[0].replace('.', ', ')})" in (ROOT / ".ci" / "pythons.py").read_text(encoding="utf-8")
    assert named == [f"3.{minor}" for minor in range(11, 11 + len(named))]
    assert {"3.11", "3.12", "3.13"} <= set(named)
