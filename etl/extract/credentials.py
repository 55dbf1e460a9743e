"""Credentials: a permanent key, or a login whose session key is valid for an hour and is renewed.

Each has a name, which the warehouse may keep to notice that other credentials list an account: a salted digest of the
key or of the login. The salt is part of the name, so every copy of a warehouse recognizes the same credentials.
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
"""Fewest characters of a login that is masked in texts of the source; a shorter one is part of many words."""


@dataclass(frozen=True)
class PermanentKey:
    """A key that was created in the client area. It does not expire by itself."""

    token: str = field(repr=False)

    def named(self, known: Iterable[str], random: Random) -> str:
        """Name of the key: the one of the `known` names that means this key, or a new name with a new salt."""
        return _named("key", self.token, known, random)


@dataclass(frozen=True)
class Login:
    """Login and password, exchanged for session keys with `login.user`."""

    login: str = field(repr=False)
    password: str = field(repr=False)

    def named(self, known: Iterable[str], random: Random) -> str:
        """Name of the login: the one of the `known` names that means this login, or a new name with a new salt."""
        return _named("login", self.login, known, random)


Credentials = PermanentKey | Login


def redaction_of(credentials: Credentials) -> Redaction:
    """Redaction that masks the key, or the password and the login. Records may contain a login by chance."""
    redaction = Redaction()
    if isinstance(credentials, PermanentKey):
        redaction.add(credentials.token)
    else:
        redaction.add(credentials.password)
        if len(credentials.login) >= SHORTEST_LOGIN:
            redaction.add(credentials.login, chosen=True)
    return redaction


def _named(kind: str, secret: str, known: Iterable[str], random: Random) -> str:
    for name in known:
        if hmac.compare_digest(name.encode(), _digested(kind, _salt_of(kind, name), secret).encode()):
            return name
    return _digested(kind, f"{random.randrange(256**_SALT_BYTES):0{2 * _SALT_BYTES}x}", secret)


def _digested(kind: str, salt: str, secret: str) -> str:
    digest = hmac.new(salt.encode(), secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return f"{kind}:{salt}:{digest[:_DIGEST_HEX]}"


def _salt_of(kind: str, name: str) -> str:
    """The salt in a name of this kind; empty if it has none."""
    found, _, rest = name.partition(":")
    return rest.partition(":")[0] if found == kind else ""
