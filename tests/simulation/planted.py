"""A pytest plugin that plants the mutant named by `PLANT` into the whole session: tests that look for it must fail."""

from __future__ import annotations

import contextlib
import os

import pytest

from tests.simulation.mutants import MUTANTS

_planted = contextlib.ExitStack()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before any test."""
    _planted.enter_context(MUTANTS[os.environ["PLANT"]].plant())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After the last test."""
    _planted.close()
