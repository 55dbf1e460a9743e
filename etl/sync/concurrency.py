"""Concurrency: worker threads that sync accounts, slots that limit listings, and cancellation of all workers at once.

There are more workers than slots: while some list accounts, others write theirs or read what is known of the next.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from queue import SimpleQueue

from msgspec import Struct

from etl.domain.ports import Clock

STEP = 0.25
"""Seconds between two checks for cancellation during a pause."""
LAST_LOOKS = 50
"""How often, every `LOOK` seconds, workers are interrupted after a cancellation before they are abandoned."""
LOOK = 0.1
SMALL = 1_000
"""Numbers up to which a listed account takes so little memory that its slot is released before it is written."""


class Cancelled(BaseException):
    """Ends a worker of a run that is being stopped. Only the worker's own loop catches it."""


class GivenUp(Exception):
    """Raised for an account that waited for its slot while the run gave up: nothing of it was requested."""


class Cancellation:
    """A flag for all workers of a run: set when the run is being stopped."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop all workers."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether the run is being stopped."""
        return self._cancelled.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` when the run is being stopped."""
        if self.cancelled:
            raise Cancelled


class CancellableClock(Struct, frozen=True):
    """A clock for workers: reading it or waiting on it raises `Cancelled` when the run is being stopped."""

    clock: Clock
    cancellation: Cancellation

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        self.cancellation.raise_if_cancelled()
        return self.clock.now()

    def monotonic(self) -> float:
        """Seconds from some start; never goes back."""
        self.cancellation.raise_if_cancelled()
        return self.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        self.cancellation.raise_if_cancelled()
        while seconds > 0:
            step = min(seconds, STEP)
            self.clock.sleep(step)
            self.cancellation.raise_if_cancelled()
            seconds -= step


class Slot:
    """A worker's right to list an account; workers share the `free` ones. Without `free` there is no waiting.

    `given_up`: whether the run begins no further account.
    """

    def __init__(self, free: threading.Semaphore | None = None, given_up: Callable[[], bool] = lambda: False) -> None:
        self._free, self._given_up = free or threading.Semaphore(), given_up
        self._held = False

    @contextlib.contextmanager
    def account(self) -> Iterator[None]:
        """The time for one account: at its end the slot is free again, if it was taken."""
        try:
            yield
        finally:
            self._release()

    def take(self, clock: Clock) -> None:
        """Wait for a slot, before the account's first request. Raises `GivenUp` when the run has given up meanwhile."""
        while not self._free.acquire(timeout=STEP):
            clock.monotonic()  # raises when the run is being stopped
        self._held = True
        if self._given_up():
            raise GivenUp

    def listed(self, numbers: int) -> None:
        """An account of `numbers` is listed: release the slot if the account is small."""
        if numbers <= SMALL:
            self._release()

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._free.release()


def run_workers(
    workers: int, work: Callable[[], None], *, cancellation: Cancellation, interrupt: Callable[[], None]
) -> None:
    """Do `work` in `workers` threads at once; return when all of them are done.

    An error of one thread, or of a signal handler here, cancels the others and is raised. `interrupt`: breaks off
    requests and statements; it is called until the threads have stopped. Threads that do not stop stay as daemons.
    """
    ends: SimpleQueue[BaseException | None] = SimpleQueue()
    threads = [
        threading.Thread(target=_worker, args=(work, ends), name=f"worker {n}", daemon=True) for n in range(workers)
    ]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            with contextlib.suppress(RuntimeError):  # the system gives no more threads: fewer do the work
                thread.start()
                started.append(thread)
        if not started:
            work()
        for _ in started:
            if (failure := ends.get()) is not None:
                raise failure
    except BaseException:
        cancellation.cancel()
        _wait_out(started, interrupt)
        raise


def _worker(work: Callable[[], None], ends: SimpleQueue[BaseException | None]) -> None:
    try:
        work()
    except BaseException as exc:  # noqa: BLE001 - raised again in `run_workers`
        ends.put(exc)
    else:
        ends.put(None)


def _wait_out(threads: list[threading.Thread], interrupt: Callable[[], None]) -> None:
    for _ in range(LAST_LOOKS):
        alive = [thread for thread in threads if thread.is_alive()]
        if not alive:
            return
        interrupt()
        alive[0].join(LOOK)
