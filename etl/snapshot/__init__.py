"""Snapshots: every table as of an instant, in files that can be verified."""
