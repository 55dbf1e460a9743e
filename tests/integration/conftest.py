"""Fixtures that several integration tests share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from types import ModuleType

import pytest
from sqlalchemy import Engine

from tests.support.checkout import ROOT
from tests.support.story import DAYS, tell


def _five_days(warehouse: Engine) -> None:
    tell(warehouse, DAYS)


@pytest.fixture
def told(warehouse_after: Callable[[Callable[[Engine], None]], Engine]) -> Engine:
    """A warehouse after the five days of the story."""
    return warehouse_after(_five_days)


@pytest.fixture
def script() -> ModuleType:
    """The stand-alone verifier of the docs, unchanged."""
    spec = importlib.util.spec_from_file_location("verify_chain", ROOT / "docs" / "verify_chain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
