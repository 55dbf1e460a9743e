"""The URLs among the settings: which are accepted, and that no password survives their being shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.config.urls import api_url, database_url, has_password, masked


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("uis", "https://dataapi.uiscom.ru/v2.0"),
        ("CoMagic", "https://dataapi.comagic.ru/v2.0"),
        ("novofon", "https://dataapi-jsonrpc.novofon.ru/v2.0"),
        ("callgear", "https://dataapi.callgear.com/v2.0"),
        ("https://dataapi.example/v2.0/", "https://dataapi.example/v2.0"),
        ("http://127.0.0.1:8080/v2.0", "http://127.0.0.1:8080/v2.0"),
        ("http://localhost:8080/v2.0", "http://localhost:8080/v2.0"),
        ("http://[::1]:8080/v2.0", "http://[::1]:8080/v2.0"),
    ],
)
def test_api_url_is_accepted(value: str, url: str) -> None:
    """Names of the four brands, https anywhere, and plain http on this machine are accepted."""
    assert api_url(value) == url


@pytest.mark.parametrize(
    "value",
    [
        "http://dataapi.callgear.com/v2.0",
        "http://127.0.0.1.evil.example/v2.0",
        "http://169.254.169.254/v2.0",
        "http://localhost@evil.example/v2.0",
        "ftp://dataapi.callgear.com",
        "file:///etc/passwd",
        "https://",
        "https://user:word@dataapi.callgear.com/v2.0",
        "https://dataapi.callgear.com/v2.0?x=1",
        "https://dataapi.callgear.com/v2.0#x",
        "https://dataapi.callgear.com:port/v2.0",
        "https://[::1/v2.0",
        "http://[::1]0/v2.0",
        "callgears",
    ],
)
def test_api_url_is_refused(value: str) -> None:
    """Nothing that would send the token in the clear, elsewhere, or to no server is accepted."""
    with pytest.raises(ValueError, match=r"\w"):
        api_url(value)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("sqlite:///vnsync.db", "sqlite:///vnsync.db"),
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ("postgres://etl@h/d", "postgresql://etl@h/d"),
        ("postgresql://etl@h/d", "postgresql://etl@h/d"),
        ("postgresql+psycopg://etl@h/d", "postgresql+psycopg://etl@h/d"),
    ],
)
def test_database_url_is_accepted(value: str, url: str) -> None:
    """SQLite and PostgreSQL, under either of its names, are accepted."""
    assert database_url(value) == url


@pytest.mark.parametrize(
    "value", ["vnsync.db", "mysql://h/d", "sqlite://vnsync.db", "sqlite://", "sqlite:///", "sqlite:///:memory:"]
)
def test_database_url_is_refused(value: str) -> None:
    """Other databases, a missing slash, and a database that would be gone at once are refused."""
    with pytest.raises(ValueError, match=r"^it (is|names)|^a SQLite URL"):
        database_url(value)


@given(st.text("aZ9@:/?#&=%.", max_size=8), st.text("aZ9@:/?#&=%.", max_size=8))
def test_no_password_survives_masking(before: str, after: str) -> None:
    """Whatever characters a password has, escaped or not, none of it is left."""
    url = f"postgresql://etl:{before}canary{after}@host/db"
    assert has_password(url)
    assert "canary" not in masked(url)
