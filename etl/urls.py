"""The two URLs among the settings: what is accepted, and how they are shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HOSTS = {
    "callgear": "https://dataapi.callgear.com/v2.0",
    "uis": "https://dataapi.uiscom.ru/v2.0",
    "comagic": "https://dataapi.comagic.ru/v2.0",
}
"""The three brands of the platform, by the names that stand for them."""

_DATABASES = ("sqlite", "sqlite+pysqlite", "postgres", "postgresql", "postgresql+psycopg")
_SECRET_PARTS = re.compile(r"(?i)([?&](?:[a-z_]*password|[a-z_]*secret)=)[^&]*")


def api_url(value: str) -> str:
    """The URL itself, or that of a brand's name. Raises ValueError unless it is https, or http on this machine."""
    value = HOSTS.get(value.strip().lower(), value.strip()).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("it is neither a URL nor one of the known names")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http:// would send the token in the clear; https only")
    if parts.username or parts.password:
        raise ValueError("it holds a user or a password; the token has a setting of its own")
    if parts.query or parts.fragment:
        raise ValueError("it has a query or a fragment")
    _ = parts.port  # a port that is not a number is a ValueError too
    return value


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    return host.lower() in ("127.0.0.1", "::1", "localhost")


def database_url(value: str) -> str:
    """An SQLAlchemy URL for SQLite or PostgreSQL. Raises ValueError for any other, without repeating it."""
    scheme, separator, rest = value.strip().partition("://")
    if not separator or scheme.lower() not in _DATABASES:
        raise ValueError("it is not the URL of a SQLite or PostgreSQL database")
    scheme = scheme.lower()
    if scheme.startswith("sqlite"):
        if not rest.startswith("/"):
            raise ValueError("a SQLite URL has three slashes before a relative path, four before an absolute one")
        if rest.partition("?")[0] in ("/", "/:memory:"):
            raise ValueError("it names no file, so nothing would be kept")
    return f"{'postgresql' if scheme == 'postgres' else scheme}://{rest}"


def schema_name(value: str) -> str:
    """The name of a schema. Raises ValueError when PostgreSQL would not take it as an identifier."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", value) or value.startswith("pg_"):
        raise ValueError("it is not a name of letters, digits and underscores")
    return value


def has_password(url: str) -> bool:
    """Whether the database URL carries a password."""
    return masked(url, "") != url


def password_of(url: str) -> str:
    """The password in the database URL as it is written there, empty when there is none."""
    return url.partition("://")[2].rpartition("@")[0].partition(":")[2]


def masked(url: str, mask: str = "****") -> str:
    """The database URL with `mask` in place of every password; rather too much is masked than too little."""
    scheme, separator, rest = url.partition("://")
    user_info, at, place = rest.rpartition("@")
    user, colon, _ = user_info.partition(":")
    secret = mask if colon else ""
    place = _SECRET_PARTS.sub(lambda part: part[1] + mask, place)
    return f"{scheme}{separator}{user}{colon}{secret}{at}{place}"
