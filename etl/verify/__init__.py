"""Verification of a warehouse: the invariants of the history and the chain of every account, in one pass."""
