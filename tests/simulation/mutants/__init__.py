"""Mutants: bugs that are planted into the program on purpose. A simulation that does not find one is not worth much.

This is the one place where patching is right. Each mutant is a wrong version of one function, and a sentence about the
bug that it stands for. One that survives `SEEDS` seeds fails the check.
"""

from tests.simulation.mutants import histories, listings, proofs, records, runs, shortcuts, viewers
from tests.simulation.mutants.planting import MUTANTS, Mutant

__all__ = ["MUTANTS", "SEEDS", "Mutant", "histories", "listings", "proofs", "records", "runs", "shortcuts", "viewers"]

SEEDS = 100
