"""Checkout of the project, which the tests belong to."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder of pyproject.toml, README and docs."""
