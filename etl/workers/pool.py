"""Choice of the transformer for each account: the run's transform process, or this process for small accounts.

A separate process uses a second processor. One process serves all accounts of a run, several at a time. It starts once
the run has listed enough numbers, and ends with the run.
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
"""Numbers in a run from which a process is started. Starting takes as long as transforming some thousand numbers."""
SMALL = 1_000
"""Numbers below which an account is transformed in this process: the communication would take as long."""


@contextlib.contextmanager
def transformers(worth_it: int = WORTH_IT) -> Iterator[Transformers]:
    """Context for one run: it starts a process once the run's accounts together have `worth_it` numbers or more.

    Small accounts do not count. With a single processor, or if no process can be started, this process transforms all.
    """
    pool = _Pool(worth_it)
    try:
        yield pool.transformer
    finally:
        pool.close()


class _Pool:
    """Transform process of a run, if it has one, and the rule that decides when to start it."""

    def __init__(self, worth_it: int) -> None:
        self._worth_it, self._small = worth_it, min(SMALL, worth_it)
        self._numbers, self._tried = 0, False
        self._process: TransformProcess | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def transformer(self, numbers: int, check_cancelled: CheckCancelled) -> Iterator[Transformer]:
        """Transformer for an account of `numbers` numbers."""
        with contextlib.ExitStack() as cleanup:
            slot = self._slot(numbers)
            if slot is None:
                yield cleanup.enter_context(inline(numbers, check_cancelled))
            else:
                cleanup.callback(slot.leave)
                slot.check_cancelled = check_cancelled
                yield slot

    def _slot(self, numbers: int) -> WorkerSlot | None:
        if numbers < self._small:
            return None
        with self._lock:
            self._numbers += numbers
            if self._numbers >= self._worth_it and not self._tried:
                self._start()
            return self._process.take_slot() if self._process else None

    def _start(self) -> None:
        """Start a process. If the system refuses a process or a temporary file, the run does not try again."""
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
