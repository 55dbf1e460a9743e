"""Accounts that no lane has begun, for several lanes to take from."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from etl.errors import Unavailable, VnsyncError
from etl.extract.accounts import Account

MOST_UNREACHABLE = 3
"""After so many accounts in a row for which the source did not answer, however long it was asked, the run gives up."""


class Pending:
    """The accounts that nobody has begun, for several lanes to take from; and whether there is any use in going on."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        self._rest, self._lock = deque(accounts), threading.Lock()
        self._unreachable = self._workers = 0
        self.hopeless: VnsyncError | None = None
        """Why none of the rest can go on."""

    def begin(self) -> None:
        """A lane begins; it ends when there is no next account, or by giving one back."""
        with self._lock:
            self._workers += 1

    def next(self) -> Account | None:
        """The next account to begin; None, and a lane less, when there is none, or no use."""
        with self._lock:
            if self._rest and self.hopeless is None:
                return self._rest.popleft()
            self._workers -= 1
            return None

    def give_back(self, account: Account) -> bool:
        """End a lane and leave the account that it did not begin to others; False when there is no other lane."""
        with self._lock:
            if self._workers <= 1:
                return False
            self._workers -= 1
            self._rest.appendleft(account)
            return True

    def ended(self, error: VnsyncError | None) -> None:
        """An account has ended, with an error or well."""
        with self._lock:
            self._unreachable = self._unreachable + 1 if isinstance(error, Unavailable) else 0
            if (error is not None and error.concerns_all) or self._unreachable >= MOST_UNREACHABLE:
                self.hopeless = self.hopeless or error

    def rest(self) -> list[Account]:
        """Those that nobody began."""
        with self._lock:
            return list(self._rest)
