"""SIGINT and SIGTERM become an exception in the main thread; a second one ends the process at once.

Signals that come together are one request: `timeout`, service managers and terminals signal a process and then its
group. The exception may be slow to arrive (the main thread waits in a library that does not look at signals) or be lost
(in a destructor, where exceptions go nowhere). So a thread watches: the process ends within `GRACE` seconds of the
first signal, or at a later second one, with a line that says so, whatever the main thread does. That is as safe as any
kill: nothing is half-published.
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
"""Exit codes above it tell of a signal."""
GRACE = 8.0
"""Seconds from the first signal in which a run may stop by itself."""
TOGETHER = 0.5
"""Seconds after the first signal in which another one is the same request."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it, the first SIGINT or SIGTERM raises Stopped; the handlers of before are put back at its end."""
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
    """Ignore both from here on: the process was stopped, has said so, and is about to exit with that code."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class _Stop:
    """Handler of both signals: the first one raises, so that the run winds up; others are for the watching thread.

    Where there is none, a later one kills.
    """

    def __init__(self) -> None:
        self.watched = False
        self._first: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise Stopped, once."""
        if self._first is None:
            self._first = time.monotonic()
            raise Stopped(number, signal.Signals(number).name)
        if not self.watched and time.monotonic() - self._first > TOGETHER:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def _watched(stop: _Stop) -> Iterator[None]:
    """A thread that hears of signals by a pipe; where neither can be had (limits), the exception has to do."""
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
    """The number of the next signal that stops; None when the pipe was closed first."""
    while byte := os.read(reader, 1):
        if byte[0] in SIGNALS:
            return byte[0]
    return None
