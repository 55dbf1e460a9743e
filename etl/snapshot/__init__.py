"""Snapshots: every table as known at a moment, in files that can be checked."""
