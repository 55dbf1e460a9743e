"""Stress runs of vnsync: fuzzing, kills, tampering, and the table of all faults. CI runs each with a small count."""
