"""The token in use, one for all threads: whoever finds none logs in, and the others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from etl.domain.ports import Random
from etl.extract.credentials import Credentials, Login, PermanentKey


class Session:
    """A permanent key, or a login's session key that is renewed once for everybody when it has expired."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._token = credentials.token if isinstance(credentials, PermanentKey) else None
        self._lock = threading.RLock()

    def token(self, log_in: Callable[[Login], str]) -> str:
        """The token to send; `log_in` fetches one where there is none."""
        with self._lock:
            if self._token is None:
                assert isinstance(self._credentials, Login)
                self._token = log_in(self._credentials)
            return self._token

    def credential(self, known: Iterable[str], random: Random) -> str:
        """The name of the credentials, one of the `known` names where they are the same."""
        return self._credentials.named(known, random)

    def expired(self, token: str | None) -> bool:
        """Give up a token that the source refuses, unless another thread already has; whether a new one can be had."""
        if not isinstance(self._credentials, Login):
            return False
        with self._lock:
            if self._token == token:
                self._token = None
        return True
