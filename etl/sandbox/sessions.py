"""Keys of callers: the permanent key, and session keys that login.user returns for an hour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etl.sandbox.failures import Failure


class Sessions:
    """The keys of one account. `now`: seconds since the epoch; `seconds`: how long a session key is valid."""

    def __init__(
        self, token: str, login: str, password: str, app_id: Callable[[], int], now: Callable[[], float], seconds: float
    ) -> None:
        self.token, self.blocked = token, False  # blocked: every known key gets access_token_blocked
        self._login, self._password = login, password
        self._app_id, self._now, self._seconds = app_id, now, seconds
        self._expiry: dict[str, float] = {}

    def check(self, key: Any) -> None:
        """Raise Failure unless the key is valid now."""
        if key is None:
            raise Failure("required_parameter_missed", "access_token")
        if not isinstance(key, str):
            raise Failure("data_type_error", "access_token")
        if key != self.token and key not in self._expiry:
            raise Failure("access_token_invalid", "access_token")
        if self.blocked:
            raise Failure("access_token_blocked", "access_token")
        if key != self.token and self._expiry[key] <= self._now():
            raise Failure("access_token_expired", "access_token")

    def login(self, login: Any, password: Any) -> dict[str, Any]:
        """A new session key, and its expiry in seconds since the epoch. Raises Failure."""
        for name, value in (("login", login), ("password", password)):
            if value is None:
                raise Failure("required_parameter_missed", name)
            if not isinstance(value, str):
                raise Failure("data_type_error", name)
        if (login, password) != (self._login, self._password):
            raise Failure("auth_error")
        key = f"sandbox-session-{len(self._expiry) + 1:04d}"
        self._expiry[key] = self._now() + self._seconds
        return {"access_token": key, "expire_at": int(self._expiry[key]), "app_id": self._app_id()}

    def logout(self, key: str) -> None:
        """Forget a session key; the permanent key stays valid."""
        self._expiry.pop(key, None)
