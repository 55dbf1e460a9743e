"""Pytest plugin that plants the mutant named by `PLANT` for the whole session: the tests for it must fail."""

from __future__ import annotations

import contextlib
import os

import pytest

from tests.simulation.mutants import MUTANTS

_planted = contextlib.ExitStack()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Plant the mutant before the tests."""
    _planted.enter_context(MUTANTS[os.environ["PLANT"]].plant())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the mutant after the tests."""
    _planted.close()
