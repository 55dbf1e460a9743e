"""Work side by side in a few threads, and a way to stop all of them at once: the first failure, or a signal, does.

There are more lanes than places: what one lane writes is not waited for, the next account is asked for meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue

from etl.domain.ports import Clock

STEP = 0.25
"""Seconds of a pause after which a lane looks whether it has to stop."""
LAST_LOOKS = 50
"""How often, every `LOOK` seconds, lanes that have to stop are interrupted before they are left behind."""
LOOK = 0.1
SMALL = 1_000
"""Numbers up to which an account that was listed needs so little memory that another may be begun beside it."""


class Cancelled(BaseException):
    """The run is being stopped, so this lane leaves off what it does. Nobody but the lane itself catches it."""


class Cancellation:
    """Whether the run is being stopped."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Everybody is to stop."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was called."""
        return self._cancelled.is_set()

    def raise_if_cancelled(self) -> None:
        """Raises `Cancelled` when it was called."""
        if self.cancelled:
            raise Cancelled


@dataclass(frozen=True)
class CancellableClock:
    """A clock for lanes: whoever reads it or waits on it learns that the run is being stopped, by `Cancelled`."""

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
    """A lane's right to list an account; several lanes share some `free` ones. Without them there is no waiting."""

    def __init__(self, free: threading.Semaphore | None = None) -> None:
        self._free = free or threading.Semaphore()
        self._held = False

    @contextlib.contextmanager
    def held(self, clock: Clock) -> Iterator[None]:
        """Wait for a place, and hold it until the block ends, or the account was listed."""
        while not self._free.acquire(timeout=STEP):
            clock.monotonic()  # where the run is being stopped, this raises
        self._held = True
        try:
            yield
        finally:
            self._give_up()

    def listed(self, numbers: int) -> None:
        """An account of so many numbers asks for nothing more: if it is small, another may, while it is written."""
        if numbers <= SMALL:
            self._give_up()

    def _give_up(self) -> None:
        if self._held:
            self._held = False
            self._free.release()


def run_workers(
    workers: int, work: Callable[[], None], *, cancellation: Cancellation, interrupt: Callable[[], None]
) -> None:
    """Do `work` in so many threads at once; return when it is done in all of them.

    What one of them raises, or what a signal raises here, halts the others and is raised here. `interrupt`: breaks off
    what they wait for; it is called until they have stopped. Those that do not stop are left behind as daemons.
    """
    ends: SimpleQueue[BaseException | None] = SimpleQueue()
    threads = [
        threading.Thread(target=_worker, args=(work, ends), name=f"lane {n}", daemon=True) for n in range(workers)
    ]
    started: list[threading.Thread] = []
    try:
        for thread in threads:
            with contextlib.suppress(RuntimeError):  # no more threads: those that there are do it
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
    except BaseException as exc:  # noqa: BLE001 - whatever it is, it is raised where the lanes are waited for
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
