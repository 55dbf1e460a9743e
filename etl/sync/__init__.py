"""Syncing: which accounts can be listed, and through whom."""
