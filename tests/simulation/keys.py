"""Keys of the made-up accounts: two with different rights, used as permanent keys or by a login."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """A key: its token, and the login of its owner."""

    token: str
    login: str

    def is_named(self, credential: str | None) -> bool:
        """Whether a warehouse's credential is this key: a digest of its login or its token, with a salt."""
        kind, _, rest = (credential or "").partition(":")
        salt, _, digest = rest.partition(":")
        word = self.login if kind == "login" else self.token
        mine = hmac.new(salt.encode(), word.encode(), hashlib.sha256).hexdigest()
        return kind in ("key", "login") and len(digest) >= 32 and mine.startswith(digest)


FIRST = Key("simulated-token", "login")
SECOND = Key("another-simulated-token", "another-login")
KEYS = (FIRST, SECOND)


@dataclass(frozen=True)
class Viewer:
    """A key and, under an agent, a customer's user: each pair has its own rights."""

    key: Key
    user: int | None
