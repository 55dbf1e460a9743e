"""Names of servers by OpenLineage's rules, the same on every run."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from etl.store.datasets import server


@pytest.mark.parametrize(
    ("url", "connected", "named"),
    [
        ("postgresql://u@db.example/calls", ("10.0.0.1", 5432), "postgres://db.example:5432"),
        ("postgresql://u@db.example:6432/calls", ("db.example", 6432), "postgres://db.example:6432"),
        ("postgresql://u@/calls?host=a,b&port=5433,5434", ("b", 5434), "postgres://a:5433"),
        ("postgresql://u@/calls?host=a&host=b", ("b", 5432), "postgres://a:5432"),
        ("postgresql:///calls", ("/var/run/postgresql", 5432), "postgres://localhost:5432"),
        ("postgresql:///calls?host=/tmp", ("/tmp", 5440), "postgres://localhost:5440"),
        ("postgresql:///calls", ("from.pghost", 5432), "postgres://from.pghost:5432"),
        ("postgresql://u@[::1]/calls", ("::1", 5432), "postgres://[::1]:5432"),
    ],
)
def test_a_server_has_one_name(url: str, connected: tuple[str, int], named: str) -> None:
    """The first of several hosts, whichever is connected; parts missing in the URL come from the connection."""
    assert server(make_url(url), *connected) == named
