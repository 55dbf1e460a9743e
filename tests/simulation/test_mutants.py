"""Mutants: each must be found within 100 seeds, or by the test that it names."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.many_seeds import hunt
from tests.simulation.mutants import MUTANTS, SEEDS

SIMULATED = [name for name, mutant in MUTANTS.items() if mutant.test is None]
AT_ONCE = set(SIMULATED[::20])
"""Mutants that are tried in every run of the tests; the others are marked as soak."""
TESTED = [name for name, mutant in MUTANTS.items() if mutant.test is not None]
PYTEST = [
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-x",
    "-m",
    "",
    "-p",
    "no:cacheprovider",
    "-p",
    "tests.simulation.planted",
]


def test_there_are_mutants_enough() -> None:
    """Seeds find at least 25 mutants, each with a sentence about its bug."""
    assert len(SIMULATED) >= 25
    assert all(c.stands_for for c in MUTANTS.values())


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in AT_ONCE else pytest.mark.soak) for n in SIMULATED])
def test_mutant_is_found(name: str) -> None:
    """One of the first hundred seeds finds a program with this bug."""
    hunted = hunt(name)
    assert hunted.found is not None, f"{name} survived {SEEDS} seeds: {MUTANTS[name].stands_for}"


@pytest.mark.soak
@pytest.mark.parametrize("name", TESTED)
def test_mutant_is_found_by_its_test(name: str) -> None:
    """The test that the mutant names fails for a program with this bug."""
    command = [*PYTEST, "-k", "not postgresql", str(MUTANTS[name].test)]
    done = subprocess.run(command, env={**os.environ, "PLANT": name}, capture_output=True, text=True, check=False)
    assert done.returncode == 1, f"{name} survived: {done.stdout[-500:]}{done.stderr[-500:]}"
    assert " failed" in done.stdout
