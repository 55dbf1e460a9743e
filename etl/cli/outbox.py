"""Outbox: messages to monitors, sent one after the other in the background. None of them can fail the command."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping

import httpx

from etl.errors import VnsyncError
from etl.extract.connection import Bounds, CancellableConnection, new_client

LIMIT = 3.0
"""Seconds that one message may take, and that the command waits for its last messages."""
MOST_WAITING = 20
"""Messages that may wait for one that hangs; later ones are dropped."""


class Undelivered(Exception):
    """A message was not taken. Its text holds nothing of the address, which may be a secret."""


class Outbox:
    """Messages in the order in which they were put. `problems`: one line for each kind of failure, until `flush`."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Callable[[], None]] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self.problems: list[str] = []

    def put(self, name: str, deliver: Callable[[], None]) -> None:
        """Deliver in the background. `name`: what could not be delivered, as the subject of a sentence."""

        def attempt() -> None:
            try:
                deliver()
            except Undelivered as error:
                self._failed(f"{name} was not delivered: {error}")
            except Exception as error:  # noqa: BLE001 - a message never decides how the command ends
                self._failed(f"{name} was not delivered: {type(error).__name__}")

        self._enqueue(name, attempt)

    def flush(self) -> list[str]:
        """Wait until all is delivered, at most `LIMIT` seconds. Returns the problems since the last call."""
        if self._thread is not None:
            done = threading.Event()
            self._enqueue("a message", done.set)
            if not done.wait(LIMIT):
                self._failed(f"a message was not delivered within {LIMIT:.0f} s")
        found, self.problems = self.problems, []
        return found

    def _enqueue(self, name: str, action: Callable[[], None]) -> None:
        try:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)
                self._thread.start()
            self._waiting.put_nowait(action)
        except (queue.Full, RuntimeError):  # RuntimeError: no more threads
            self._failed(f"{name} was dropped: earlier ones wait")

    def _work(self) -> None:
        while True:
            self._waiting.get()()

    def _failed(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def post(url: str, content: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
    """POST within `LIMIT` seconds; no redirect is followed, nothing of the answer is read. Raises `Undelivered`."""
    connection = CancellableConnection()
    bounds = Bounds(connect=LIMIT, read=LIMIT)
    try:
        with (
            new_client(url=url, bounds=bounds) as client,
            connection.limited(LIMIT),
            client.stream("POST", url, content=content, headers=headers, extensions=connection.extensions) as response,
        ):
            if not response.is_success:
                raise Undelivered(f"the answer was HTTP {response.status_code}")
    except (httpx.HTTPError, httpx.InvalidURL, VnsyncError, ValueError, OSError) as error:
        late = connection.overdue or isinstance(error, httpx.TimeoutException)
        reason = f"no answer within {LIMIT:.0f} s" if late else type(error).__name__
        raise Undelivered(reason) from None
