"""Deterministic simulation: the real pipeline in a made-up world with many faults, judged from outside.

One seed decides everything: the accounts, their changes before and after every request, the faults that are on, the
points where processes are killed. The world, the oracle and the verifier do not import `etl`; the harness drives
`etl.sync.run.sync` through its own ports (transport, clock, random, database driver). See docs/simulation.md.
"""
