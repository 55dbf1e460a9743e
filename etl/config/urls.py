"""URLs of the settings, two of them: which values are accepted, and how they are shown."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from etl.domain.installations import origin_of

HOSTS = {
    "callgear": "https://dataapi.callgear.com/v2.0",
    "uis": "https://dataapi.uiscom.ru/v2.0",
    "comagic": "https://dataapi.comagic.ru/v2.0",
    "novofon": "https://dataapi-jsonrpc.novofon.ru/v2.0",
}
"""Base URLs of the brands of the platform, by the names that `--api-url` accepts for them."""

_DATABASES = ("sqlite", "sqlite+pysqlite", "postgres", "postgresql", "postgresql+psycopg")
_SECRET_NAMES = ("password", "secret", "token", "key")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


def api_url(value: str) -> str:
    """The URL itself, or the one of a brand's name. Raises `ValueError` unless it is https, or http on this machine.

    Only plainly written hosts are accepted, so that every reader of the URL sees the same host.
    """
    value = HOSTS.get(value.strip().lower(), value.strip()).rstrip("/")
    _refuse_odd_characters(value)
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("it is neither a URL nor one of the known names")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http:// would send the token in the clear; https only")
    if "@" in parts.netloc:
        raise ValueError("it holds a user or a password; the token has a setting of its own")
    _refuse_odd_host(parts.hostname)
    if parts.query or parts.fragment:
        raise ValueError("it has a query or a fragment")
    _ = parts.port  # raises ValueError if the port is no number, or too high
    origin_of(value)  # raises ValueError if there is no origin to compare with the warehouse's
    return value


def ping_url(value: str) -> str:
    """The URL itself. Raises `ValueError`, which repeats nothing of it, unless it is https, or http on this machine."""
    _refuse_odd_characters(value)
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("it is not a URL")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http:// would send its secret in the clear; https only")
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("it holds a user, a password or a fragment")
    _ = parts.port  # raises ValueError if the port is no number, or too high
    return value


def secret_part(url: str) -> str:
    """The part of a ping's URL that is a secret: path and query."""
    return url.partition("://")[2].partition("/")[2]


def _refuse_odd_characters(url: str) -> None:
    if not (url.isascii() and url.isprintable()) or set(url) & set(' \\"<>^`{|}'):
        raise ValueError("it has characters that no URL has")


def _refuse_odd_host(host: str) -> None:
    """Refuse addresses at which there is no Data API, and spellings that two readers may take for different hosts."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        if not _HOST.fullmatch(host) or ".." in host or last.isdecimal() or last.startswith("0x"):
            raise ValueError("its host is not written as a name or an address usually is") from None
        return
    if is_loopback(host):
        return
    if address.is_link_local or address.is_loopback or address.is_multicast or address.is_unspecified:
        raise ValueError(f"no Data API is at {address}")
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id):
        raise ValueError("its host is not written as a name or an address usually is")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    return host.lower() in ("127.0.0.1", "::1", "localhost")


def database_url(value: str) -> str:
    """An SQLAlchemy URL for SQLite or PostgreSQL. Raises `ValueError` for any other URL, without repeating it."""
    scheme, separator, rest = value.strip().partition("://")
    if not separator or scheme.lower() not in _DATABASES:
        raise ValueError("it is not the URL of a SQLite or PostgreSQL database")
    scheme = scheme.lower()
    if scheme.startswith("sqlite"):
        _refuse_odd_file(rest)
    else:
        _refuse_unescaped(rest)
        rest = _several_hosts(rest)
    return f"{'postgresql' if scheme == 'postgres' else scheme}://{rest}"


def _refuse_odd_file(rest: str) -> None:
    """Refuse a URL without a file, and options other than the one that SQLite's driver can take from a URL here."""
    file, _, query = rest.partition("?")
    if not rest.startswith("/"):
        raise ValueError("a SQLite URL has three slashes before a relative path, four before an absolute one")
    if file in ("/", "/:memory:"):
        raise ValueError("it names no file, so nothing would be kept")
    for name, option in parse_qsl(query, keep_blank_values=True):
        if name != "timeout":
            raise ValueError("the only option of a SQLite URL is ?timeout=SECONDS")
        if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", option) is None:
            raise ValueError("its timeout is not a number of seconds")


def _refuse_unescaped(rest: str) -> None:
    """Refuse a password whose characters are read as the host's place: parts of it would be looked up, and shown."""
    user_info, _, hosts = _place(rest).rpartition("@")
    ports = [_port(host) for host in hosts.split(",")]
    if "@" in user_info or any(re.fullmatch("[0-9]{0,5}", port) is None for port in ports):
        raise ValueError("it has no host and port; in a password @ : / ? are written %40 %3A %2F %3F")


def _several_hosts(rest: str) -> str:
    """The URL's rest, with several hosts moved to the query, where every reader finds each one with its own port."""
    place = _place(rest)
    user_info, at, hosts = place.rpartition("@")
    if "," not in hosts:
        return rest
    path, _, query = rest.removeprefix(place).partition("?")
    each = hosts.split(",")
    names = ",".join(
        host.removesuffix(f":{port}" if port else ":").strip("[]") for host in each for port in [_port(host)]
    )
    ports = ",".join(map(_port, each))
    return f"{user_info}{at}{path or '/'}?" + "&".join(filter(None, [f"host={names}", f"port={ports}", query]))


def _place(rest: str) -> str:
    """User, hosts and ports: the part before the path and the query."""
    return re.split(r"[/?]", rest, maxsplit=1)[0]


def _port(host: str) -> str:
    return host.rpartition("]")[2].partition(":")[2]


def schema_name(value: str) -> str:
    """The name of a schema. Raises `ValueError` if PostgreSQL would not accept it as an identifier."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", value) or value.startswith("pg_"):
        raise ValueError("it is not a name of letters, digits and underscores")
    return value


def has_password(url: str) -> bool:
    """Whether the database URL contains a password."""
    return masked(url, "") != url


def passwords_of(url: str) -> list[str]:
    """The passwords in the database URL, as written there and as decoded."""
    written = [url.partition("://")[2].rpartition("@")[0].partition(":")[2]]
    written += [part.partition("=")[2] for part in _query(url) if _is_secret(part)]
    decoded = [value for part in _query(url) if _is_secret(part) for _, value in parse_qsl(part)]
    return [word for word in {*written, *map(unquote, written), *decoded} if word]


def masked(url: str, mask: str = "****") -> str:
    """The database URL with `mask` in place of every password. If in doubt, a part is masked."""
    scheme, separator, rest = url.partition("://")
    user_info, at, place = rest.rpartition("@")
    user, colon, _ = user_info.partition(":")
    secret = mask if colon else ""
    for part in _query(place):
        if _is_secret(part):
            place = place.replace(part, f"{part.partition('=')[0]}={mask}")
    return f"{scheme}{separator}{user}{colon}{secret}{at}{place}"


def _query(url: str) -> list[str]:
    return url.partition("?")[2].split("&")


def _is_secret(part: str) -> bool:
    """Whether a part of a query sets a secret; its name may be escaped."""
    name, equals, _ = part.partition("=")
    return bool(equals) and any(word in unquote_plus(name).lower() for word in _SECRET_NAMES)
