"""Mutants: bugs that are planted into the program on purpose. The simulation must find each of them.

Patching is allowed only here. A mutant is a wrong version of one function, with a sentence about the bug that it stands
for. A mutant that survives `SEEDS` seeds fails the check.
"""

from tests.simulation.mutants import histories, listings, proofs, records, runs, shortcuts, viewers
from tests.simulation.mutants.planting import MUTANTS, Mutant

__all__ = ["MUTANTS", "SEEDS", "Mutant", "histories", "listings", "proofs", "records", "runs", "shortcuts", "viewers"]

SEEDS = 100
