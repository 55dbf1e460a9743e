"""Mutants: each must be found within 100 seeds, or by the test that it names."""

from __future__ import annotations

import pytest

from tests.simulation.many_seeds import hunt
from tests.simulation.mutants import MUTANTS, SEEDS
from tests.support.inner_pytest import Ran, run_pytest

SIMULATED = [name for name, mutant in MUTANTS.items() if mutant.test is None]
AT_ONCE = set(SIMULATED[::40])
"""Mutants that are tried in every run of the tests; the others are marked as soak."""
TESTED = [name for name, mutant in MUTANTS.items() if mutant.test is not None]


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
    done = _with_bug(name)
    assert done.code == 1, f"{name} survived: {done.said[-500:]}"
    assert " failed" in done.said


def test_options_of_the_environment_are_not_those_of_the_inner_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest options in the environment do not change the verdict, although these would run nothing and print less."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-qq --collect-only --color=yes")
    done = _with_bug("last_copy_wins")
    assert (done.code, " failed" in done.said) == (1, True), done.said[-500:]


def _with_bug(name: str) -> Ran:
    """Run the test that the mutant names on a program with this bug. Returns its end."""
    chosen = ["-p", "tests.simulation.planted", "-k", "not postgresql", str(MUTANTS[name].test)]
    return run_pytest(*chosen, PLANT=name)
