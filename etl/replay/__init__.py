"""Replay: a warehouse rebuilt from archived responses, by the same pipeline, and where it departs from what was."""
