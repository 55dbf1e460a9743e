"""Queue of the accounts that no worker has begun."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from etl.errors import Unavailable, VnsyncError
from etl.extract.accounts import Account

MOST_UNREACHABLE = 3
"""The run gives up after this many accounts in a row that failed because the source did not answer."""


class Pending:
    """The queue; workers take accounts from it until it is empty, or until the run gives up (`hopeless`)."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        self._rest, self._lock = deque(accounts), threading.Lock()
        self._unreachable = self._workers = 0
        self.hopeless: VnsyncError | None = None
        """The error for which no further account is begun."""

    def begin(self) -> None:
        """Count a worker; it is counted off by `next` when the queue ends, or by `give_back`."""
        with self._lock:
            self._workers += 1

    def next(self) -> Account | None:
        """The next account; None, and one worker less, when there is none or the run gives up."""
        with self._lock:
            if self._rest and self.hopeless is None:
                return self._rest.popleft()
            self._workers -= 1
            return None

    def give_back(self, account: Account) -> bool:
        """Count off a worker and return its account to the queue; False when it is the last worker."""
        with self._lock:
            if self._workers <= 1:
                return False
            self._workers -= 1
            self._rest.appendleft(account)
            return True

    def put_back(self, account: Account) -> None:
        """Return an account of which nothing was requested to the queue."""
        with self._lock:
            self._rest.appendleft(account)

    def ended(self, error: VnsyncError | None) -> None:
        """Note the end of an account; `error`: None when it was published."""
        with self._lock:
            self._unreachable = self._unreachable + 1 if isinstance(error, Unavailable) else 0
            if (error is not None and error.concerns_all) or self._unreachable >= MOST_UNREACHABLE:
                self.hopeless = self.hopeless or error

    def rest(self) -> list[Account]:
        """The accounts that were not begun."""
        with self._lock:
            return list(self._rest)
