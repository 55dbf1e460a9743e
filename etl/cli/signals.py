"""Signal handling: SIGINT and SIGTERM raise an exception in the main thread; a second one ends the process at once.

Signals that come together are one request: `timeout`, service managers and terminals signal a process and then its
group. The exception may come late (while the main thread waits in a library that does not check for signals) or be lost
(in a destructor, where Python discards exceptions). So a thread watches: it ends the process `GRACE` seconds after the
first signal, or at a later second one, and writes a line that says so, whatever the main thread does. That is as safe
as any kill: nothing is half-published.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from etl.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPED = 128
"""Exit codes above it mean that a signal stopped the command."""
GRACE = 8.0
"""Seconds after the first signal within which the run must have stopped by itself."""
TOGETHER = 0.5
"""Seconds after the first signal during which another signal counts as the same request."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Context in which the first SIGINT or SIGTERM raises Stopped; it restores the earlier handlers at its end.

    Does nothing outside the main thread, where Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stop = _Stop()
    before: list[Any] = [signal.signal(number, stop) for number in SIGNALS]
    try:
        with _watched(stop):
            yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


def ignore() -> None:
    """Ignore both signals from now on: the process was stopped, has reported it, and is about to exit."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class _Stop:
    """Handler of both signals: the first one raises `Stopped`; the watching thread deals with the others.

    If there is no watching thread, a later signal kills the process.
    """

    def __init__(self) -> None:
        self.watched = False
        self._first: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise Stopped at the first call; kill the process at a later one that no thread watches for."""
        if self._first is None:
            self._first = time.monotonic()
            raise Stopped(number, signal.Signals(number).name)
        if not self.watched and time.monotonic() - self._first > TOGETHER:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def _watched(stop: _Stop) -> Iterator[None]:
    """Context with a thread that reads signals from a pipe; without pipe or thread (limits), only the exception."""
    try:
        reader, writer = os.pipe()
    except OSError:
        yield
        return
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(reader,), name="signals", daemon=True)
    with contextlib.suppress(RuntimeError):  # no more threads
        watch.start()
        stop.watched = True
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        if watch.ident is not None:
            watch.join()
        os.close(reader)


def _watch(reader: int) -> None:
    number = _next_signal(reader)
    if number is None:
        return
    first = time.monotonic()
    while select.select([reader], [], [], max(0.0, first + GRACE - time.monotonic()))[0]:
        if _next_signal(reader) is None:
            return
        if time.monotonic() - first > TOGETHER:
            break
    stopped = Stopped(number, signal.Signals(number).name)
    line = f"vnsync: error: {stopped}, at once. {stopped.remedy} (exit {stopped.exit_code})\n"
    with contextlib.suppress(OSError):
        os.write(2, line.encode())
    os._exit(stopped.exit_code)


def _next_signal(reader: int) -> int | None:
    """Number of the next SIGINT or SIGTERM; None when the pipe is closed first."""
    while byte := os.read(reader, 1):
        if byte[0] in SIGNALS:
            return byte[0]
    return None
