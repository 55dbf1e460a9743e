"""Credentials: a permanent key, or a login whose session key lives an hour and is renewed.

Each has a name that may be kept in the warehouse, to notice that another one lists an account: of a login its own name,
of a key a salted digest. The salt stands in the name, so that the same key is recognized in every copy of a warehouse.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

from etl.domain.ports import Random

_SALT_BYTES = 8
_DIGEST_HEX = 32


@dataclass(frozen=True)
class PermanentKey:
    """A key made in the client area; it does not expire by itself."""

    token: str = field(repr=False)

    def named(self, known: Iterable[str], random: Random) -> str:
        """The key's name among the `known` ones, or a new name with a salt of its own."""
        for name in known:
            if hmac.compare_digest(name.encode(), self._name(_salt_of(name)).encode()):
                return name
        return self._name(f"{random.randrange(256**_SALT_BYTES):0{2 * _SALT_BYTES}x}")

    def _name(self, salt: str) -> str:
        digest = hmac.new(salt.encode(), self.token.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return f"key:{salt}:{digest[:_DIGEST_HEX]}"


@dataclass(frozen=True)
class Login:
    """Login and password, exchanged for session keys with `login.user`."""

    login: str
    password: str = field(repr=False)

    def named(self, known: Iterable[str], random: Random) -> str:
        """The login's own name."""
        return f"login:{self.login}"


Credentials = PermanentKey | Login


def _salt_of(name: str) -> str:
    """The salt in a key's name; empty where there is none."""
    kind, _, rest = name.partition(":")
    return rest.partition(":")[0] if kind == "key" else ""
