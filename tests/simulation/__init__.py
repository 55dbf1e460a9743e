"""Deterministic simulation: the real pipeline in a made-up world where everything goes wrong, judged from outside.

One seed decides all: the accounts, what changes in them before and after every request, which faults are on, where
processes die. The world, the oracle and the verifier import nothing of `etl`; the harness drives `etl.sync.run.sync`
through its own ports (transport, clock, random, database driver). See docs/simulation.md.
"""
