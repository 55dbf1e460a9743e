"""Session: one token for all threads. The first thread that finds none logs in; the others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from etl.domain.ports import Random
from etl.extract.credentials import Credentials, Login, PermanentKey


class Session:
    """A permanent key, or the session key of a login, which is renewed once for all threads when it has expired."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._token = credentials.token if isinstance(credentials, PermanentKey) else None
        self._lock = threading.RLock()

    def token(self, log_in: Callable[[Login], str]) -> str:
        """The token to send. `log_in` fetches one if there is none."""
        with self._lock:
            if self._token is None:
                assert isinstance(self._credentials, Login)
                self._token = log_in(self._credentials)
            return self._token

    def credential(self, known: Iterable[str], random: Random) -> str:
        """Name of the credentials: the one of the `known` names that means the same credentials, or a new name."""
        return self._credentials.named(known, random)

    def expired(self, token: str | None) -> bool:
        """Drop a token that the source refuses, unless another thread has dropped it. True if a login can renew it."""
        if not isinstance(self._credentials, Login):
            return False
        with self._lock:
            if self._token == token:
                self._token = None
        return True
