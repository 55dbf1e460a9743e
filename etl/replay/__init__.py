"""Replay: rebuilding a warehouse from archived responses with the same pipeline, and reporting every mismatch."""
