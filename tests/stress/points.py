"""Points of a run at which its process is killed or halts: around every request, statement, bulk load and commit.

Points are counted by phase: `publishing` (inside the publishing transaction) and `elsewhere`. They are made by wrapping
functions in the child process that a stress run has forked; vnsync itself contains none of this.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

from etl.extract.http import HttpClient
from etl.load import staging
from etl.load.publish import PublishTransaction
from etl.store import locks
from etl.sync.account import AccountSync, Listed


class _Counter:
    """Counts the points of each phase, and kills or halts the process at the wanted one, once."""

    def __init__(self, phase: str, number: int, deed: str, trace: str | None, only: str) -> None:
        self._phase, self._number, self._deed, self._trace, self._only = phase, number, deed, trace, only
        self._seen = {"publishing": 0, "elsewhere": 0}
        self._thread = threading.local()

    @property
    def now(self) -> str:
        """The phase of the calling thread, because accounts are synced concurrently."""
        return str(getattr(self._thread, "phase", "elsewhere"))

    @now.setter
    def now(self, phase: str) -> None:
        self._thread.phase = phase

    def pass_by(self, name: str) -> None:
        if self._only not in name:
            return
        self._seen[self.now] += 1
        if self.now != self._phase or self._seen[self.now] != self._number:
            return
        if self._trace:
            Path(self._trace).write_text(f"{self.now}: {name}")
        os.kill(os.getpid(), signal.SIGKILL if self._deed == "kill" else signal.SIGSTOP)


def install(phase: str, number: int, deed: str = "kill", trace: str | None = None, only: str = "") -> None:
    """Make this process kill or halt itself at the `number`-th point of `phase` whose name contains `only`.

    `trace`: a file for the point's name.
    """
    counter = _Counter(phase, number, deed, trace, only)
    event.listen(Engine, "before_cursor_execute", lambda _c, _k, sql, *_: counter.pass_by(f"before {_short(sql)}"))
    event.listen(Engine, "after_cursor_execute", lambda _c, _k, sql, *_: counter.pass_by(f"after {_short(sql)}"))
    _around(DefaultDialect, "do_commit", "commit", counter)
    _around(HttpClient, "post", "request", counter)
    _around(staging, "_bulk", "bulk", counter)
    _around(locks, "_lock", "lock file", counter)
    _mark_publishing(counter)


def _short(sql: str) -> str:
    return " ".join(sql.split()[:4])


def _around(owner: Any, name: str, label: str, counter: _Counter) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **more: Any) -> Any:
        counter.pass_by(f"before {label}")
        result = original(*args, **more)
        counter.pass_by(f"after {label}")
        return result

    setattr(owner, name, wrapped)


def _mark_publishing(counter: _Counter) -> None:
    original = AccountSync._written

    @contextlib.contextmanager
    def written(self: AccountSync, listed: Listed) -> Iterator[PublishTransaction]:
        counter.now = "publishing"
        try:
            with original(self, listed) as transaction:
                yield transaction
        finally:
            counter.now = "elsewhere"

    AccountSync._written = written  # type: ignore[method-assign]  # wrapped to mark its phase
