"""Planted bugs: each must be found within 100 seeds, or the simulation is not worth much."""

from __future__ import annotations

import pytest

from simulation.campaign import hunt
from simulation.canaries import CANARIES, SEEDS


def test_there_are_canaries_enough() -> None:
    """At least 25, each with a sentence about the bug that it stands for."""
    assert len(CANARIES) >= 25
    assert all(c.stands_for for c in CANARIES.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", CANARIES)
def test_canary_is_found(name: str) -> None:
    """A program with this bug does not get past the first hundred seeds."""
    hunted = hunt(name)
    assert hunted.found is not None, f"{name} survived {SEEDS} seeds: {CANARIES[name].stands_for}"
