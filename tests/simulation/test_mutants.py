"""Planted bugs: each must be found within 100 seeds, or by the test it names, or the simulation is not worth much."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.many_seeds import hunt
from tests.simulation.mutants import MUTANTS, SEEDS

SIMULATED = [name for name, mutant in MUTANTS.items() if mutant.test is None]
AT_ONCE = set(SIMULATED[::20])
"""Those that are planted in every run of the tests; the others are among the long ones."""
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
    """At least 25 that seeds find, each with a sentence about the bug that it stands for."""
    assert len(SIMULATED) >= 25
    assert all(c.stands_for for c in MUTANTS.values())


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in AT_ONCE else pytest.mark.soak) for n in SIMULATED])
def test_mutant_is_found(name: str) -> None:
    """A program with this bug does not get past the first hundred seeds."""
    hunted = hunt(name)
    assert hunted.found is not None, f"{name} survived {SEEDS} seeds: {MUTANTS[name].stands_for}"


@pytest.mark.soak
@pytest.mark.parametrize("name", TESTED)
def test_mutant_is_found_by_its_test(name: str) -> None:
    """A program with this bug does not pass the tests that are there for it."""
    command = [*PYTEST, "-k", "not postgresql", str(MUTANTS[name].test)]
    done = subprocess.run(command, env={**os.environ, "PLANT": name}, capture_output=True, text=True, check=False)
    assert done.returncode == 1, f"{name} survived: {done.stdout[-500:]}{done.stderr[-500:]}"
    assert " failed" in done.stdout
