"""Who transforms a run's accounts: a process beside this one where there is much to do, so that both processors work.

One process serves all of a run's accounts, some at a time. It is started when the run has met enough numbers, and ends
with the run.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from etl.errors import LocalTrouble
from etl.workers.process import TransformProcess, WorkerSlot
from etl.workers.transformers import CheckCancelled, Transformer, Transformers, inline

WORTH_IT = 20_000
"""Numbers from which on a process is started: it takes as long as transforming some thousand."""
SMALL = 1_000
"""An account of fewer numbers is never given to it: asking and answering would take as long."""


@contextlib.contextmanager
def transformers(worth_it: int = WORTH_IT) -> Iterator[Transformers]:
    """For as long as a run lasts: a process for accounts that together have `worth_it` numbers or more.

    Small accounts do not count. With one processor only, or where no process can be had, there is none.
    """
    chosen = _Chosen(worth_it)
    try:
        yield chosen.transformer
    finally:
        chosen.close()


class _Chosen:
    """The run's process, when there is one."""

    def __init__(self, worth_it: int) -> None:
        self._worth_it, self._small = worth_it, min(SMALL, worth_it)
        self._met, self._tried = 0, False
        self._process: TransformProcess | None = None
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def transformer(self, numbers: int, check_cancelled: CheckCancelled) -> Iterator[Transformer]:
        """Somebody for an account of so many numbers."""
        with contextlib.ExitStack() as until_left:
            slot = self._slot(numbers)
            if slot is None:
                yield until_left.enter_context(inline(numbers, check_cancelled))
            else:
                until_left.callback(slot.leave)
                slot.check_cancelled = check_cancelled
                yield slot

    def _slot(self, numbers: int) -> WorkerSlot | None:
        if numbers < self._small:
            return None
        with self._turn:
            self._met += numbers
            if self._met >= self._worth_it and not self._tried:
                self._start()
            return self._process.take_slot() if self._process else None

    def _start(self) -> None:
        """A process; none for all of this run where the system lets us have none, or no temporary file."""
        self._tried = True
        if _processors() > 1:
            with contextlib.suppress(OSError, LocalTrouble):
                self._process = TransformProcess()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
