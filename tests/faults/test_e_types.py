"""E01: stored values of another type, and rows that the database hides or loses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from campaigns.mutations import days
from etl.domain.evidence import Problem
from etl.read.verify.storage import RELIED_ON
from etl.read.verify.warehouse import verify_connection, verify_warehouse
from etl.store import schema
from etl.store.engine import open_warehouse
from tests.rig import Rig

FULL = tuple(table for table in RELIED_ON if table is not schema.account_claims)
"""Tables that have rows after some days."""


@pytest.fixture
def sqlite(sqlite_template: object, tmp_path: object, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection to a SQLite warehouse of some days, whose CHECKs are switched off, as anybody can."""
    request.getfixturevalue("warehouse")
    yield


def _problems(connection: Connection) -> list[Problem]:
    return list(verify_connection(connection, [], lambda _: None).problems)
