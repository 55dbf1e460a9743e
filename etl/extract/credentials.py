"""Credentials: a permanent key, or a login whose session key lives an hour and is renewed.

Each has a name that may be kept in the warehouse, to notice that another one lists an account: a salted digest of the
key or of the login. The salt stands in the name, so that the same one is recognized in every copy of a warehouse.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

from etl.domain.ports import Random
from etl.extract.redaction import Redaction

_SALT_BYTES = 8
_DIGEST_HEX = 32
SHORTEST_LOGIN = 4
"""Characters of a login that is masked in what the source says; a shorter one is a part of many words."""


@dataclass(frozen=True)
class PermanentKey:
    """A key made in the client area; it does not expire by itself."""

    token: str = field(repr=False)

    def named(self, known: Iterable[str], random: Random) -> str:
        """The key's name among the `known` ones, or a new name with a salt of its own."""
        return _named("key", self.token, known, random)


@dataclass(frozen=True)
class Login:
    """Login and password, exchanged for session keys with `login.user`."""

    login: str = field(repr=False)
    password: str = field(repr=False)

    def named(self, known: Iterable[str], random: Random) -> str:
        """The login's name among the `known` ones, or a new name with a salt of its own."""
        return _named("login", self.login, known, random)


Credentials = PermanentKey | Login


def redaction_of(credentials: Credentials) -> Redaction:
    """What masks the credentials: a key, a password, and the login, which records may hold by chance."""
    redaction = Redaction()
    if isinstance(credentials, PermanentKey):
        redaction.add(credentials.token)
    else:
        redaction.add(credentials.password)
        if len(credentials.login) >= SHORTEST_LOGIN:
            redaction.add(credentials.login, chosen=True)
    return redaction


def _named(kind: str, word: str, known: Iterable[str], random: Random) -> str:
    for name in known:
        if hmac.compare_digest(name.encode(), _digested(kind, _salt_of(kind, name), word).encode()):
            return name
    return _digested(kind, f"{random.randrange(256**_SALT_BYTES):0{2 * _SALT_BYTES}x}", word)


def _digested(kind: str, salt: str, word: str) -> str:
    digest = hmac.new(salt.encode(), word.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return f"{kind}:{salt}:{digest[:_DIGEST_HEX]}"


def _salt_of(kind: str, name: str) -> str:
    """The salt in a name of this kind; empty where there is none."""
    found, _, rest = name.partition(":")
    return rest.partition(":")[0] if found == kind else ""
