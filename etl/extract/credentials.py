"""Who is asking: a permanent key, or a login whose session key lives an hour and is renewed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PermanentKey:
    """A key made in the client area; it does not expire by itself."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class Login:
    """Login and password, exchanged for session keys with `login.user`."""

    login: str
    password: str = field(repr=False)


Credentials = PermanentKey | Login
