"""SIGINT and SIGTERM become an exception in the main thread; a second one kills.

The exception may be slow to arrive (the main thread waits in a library that does not look at signals) or be lost (in a
destructor, where exceptions go nowhere). So a thread watches: the process ends within `GRACE` seconds of the first
signal, whatever the main thread does. That is as safe as any kill: nothing is half-published.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from etl.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 8.0
"""Seconds from the first signal in which a run may stop by itself."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it, the first SIGINT or SIGTERM raises Stopped; the handlers of before are put back at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: list[Any] = [signal.signal(number, _stop) for number in SIGNALS]
    try:
        with _watched():
            yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    raise Stopped(number, signal.Signals(number).name)


@contextmanager
def _watched() -> Iterator[None]:
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
    ready, _, _ = select.select([reader], [], [], GRACE)
    if ready and _next_signal(reader) is None:
        return
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
