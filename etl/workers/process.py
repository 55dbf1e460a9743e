"""Parent side of the transform process. The process has several slots; each slot transforms one account at a time.

Pages and rows pass through two temporary files per slot, which both processes have open. The pipes carry only
positions in these files. A thread reads all answers, so the transform process never has to wait for a reader.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess  # nosec B404
import sys
import threading
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from etl.errors import LocalTrouble
from etl.transform.decode import Record, joined
from etl.transform.page_rows import PageRows, SharedRows
from etl.workers.spool import Extent, Spool, no_room
from etl.workers.transformers import CheckCancelled, decode_rows, decode_shared, never_cancelled
from etl.workers.worker import DISK, END, FAILED

SLOTS = 4
"""Number of accounts that are transformed at a time: the default number of accounts that are synced at a time."""
STEP = 0.25
"""Seconds between checks for cancellation while a thread waits for an answer."""
GONE = b""
"""Last answer of every slot, after the process has ended."""
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
"""Environment variables that the interpreter may need; settings and passwords are not passed on."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from etl.workers.worker import main; main(*json.loads(sys.argv[2]))"
)


class TransformProcess:
    """Transform process. Creating it raises `OSError` when the system refuses. Threads share it, one slot each."""

    def __init__(self) -> None:
        with contextlib.ExitStack() as cleanup:
            self._slots: list[WorkerSlot] = []
            for number in range(SLOTS):
                self._slots.append(WorkerSlot(self, number))
                cleanup.callback(self._slots[-1].close)
            files = [slot.descriptors for slot in self._slots]
            work = json.dumps((files, gc.get_threshold()))
            here = [os.path.realpath(entry) for entry in sys.path]
            self._child: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - own arguments only  # nosec B603
                [sys.executable, "-I", "-c", _PROGRAM, json.dumps(here), work],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # errors arrive as answers
                pass_fds=[descriptor for pair in files for descriptor in pair],
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                process_group=0,  # signals of a terminal reach only the parent, which handles them
            )
            cleanup.callback(self._end)
            self._write_lock = threading.Lock()
            self.gone = False
            self._listener = threading.Thread(target=self._listen, name="transform process", daemon=True)
            try:
                self._listener.start()
            except RuntimeError as exc:  # no more threads
                _pipe(self._child.stdout).close()
                raise OSError(None, str(exc)) from exc
            cleanup.pop_all()

    def take_slot(self) -> WorkerSlot | None:
        """Take a slot for an account, until the caller leaves it; None when no slot is free."""
        return None if self.gone else next((slot for slot in self._slots if slot.take()), None)

    def close(self) -> None:
        """End the process, and close the slots' files."""
        self._end()
        self._listener.join()
        for slot in self._slots:
            slot.close()

    def _end(self) -> None:
        self._child.kill()
        with contextlib.suppress(OSError):
            _pipe(self._child.stdin).close()
        self._child.wait()

    # -- requests and answers

    def ask(self, line: bytes) -> None:
        """Send a request."""
        with self._write_lock, contextlib.suppress(BrokenPipeError):  # an ended process is noticed by its answer, GONE
            _pipe(self._child.stdin).write(line)
            _pipe(self._child.stdin).flush()

    def _listen(self) -> None:
        try:
            with _pipe(self._child.stdout) as answers:
                for line in answers:
                    if line.endswith(b"\n"):  # the last line may be incomplete
                        number, _, answer = line.partition(b" ")
                        self._slots[int(number)].receive(answer)
        except (ValueError, IndexError):
            pass  # not a valid answer: end the process
        finally:
            self._child.kill()
            self.gone = True
            for slot in self._slots:
                slot.receive(GONE)

    def lost(self) -> LocalTrouble:
        """Error for a process that ended unexpectedly."""
        code = self._child.wait()
        why = f"was killed by signal {-code}" if code < 0 else "ended before its work was done"
        return LocalTrouble(
            f"the transform process {why}",
            remedy="Nothing was published for the account; check that there is memory for two processes, and run again",
        )


class WorkerSlot:
    """Slot of the transform process: a `Transformer` for one account after another."""

    def __init__(self, process: TransformProcess, number: int) -> None:
        self._process, self._number = process, number
        self._pages, self._rows = Spool(), Spool()
        self._lock = threading.Lock()
        self._occupied = False
        self._begun = self._asked = self._received = 0
        self._answers = SimpleQueue[bytes]()
        self.check_cancelled: CheckCancelled = never_cancelled
        """Called repeatedly while this thread waits for an answer; it may raise."""

    @property
    def descriptors(self) -> tuple[int, int]:
        """File descriptors for pages and for rows."""
        return self._pages.descriptor, self._rows.descriptor

    def take(self) -> bool:
        """Occupy the slot, if it is free and no answer to an account that left early is still outstanding."""
        with self._lock:
            if self._occupied or self._received < self._asked:
                return False
            self._clear()
            self._occupied, self._begun = True, 0
            return True

    def leave(self) -> None:
        """Free the slot for the next account; outstanding answers to this account are dropped when they arrive."""
        with self._lock:
            self._occupied = False
            self._clear_if_idle()

    def receive(self, answer: bytes) -> None:
        """Add an answer to the queue."""
        with self._lock:
            self._received += 1
            self._answers.put(answer)
            self._clear_if_idle()

    def _clear_if_idle(self) -> None:
        if not self._occupied and self._received >= self._asked:
            with contextlib.suppress(LocalTrouble):  # `take` tries again
                self._clear()

    def begin(self, records: Sequence[Record]) -> None:
        """Submit one page."""
        self._begun += 1
        self._ask(self._pages.add(joined(records)))

    def pages(self) -> Iterator[PageRows]:
        """Yield the rows of each page in order; can be iterated once."""
        self._ask(END)
        for _ in range(self._begun):
            yield decode_rows(self._next())

    def shared(self) -> SharedRows:
        """Shared rows of all pages; call it after the last page."""
        shared = decode_shared(self._next())
        self._clear()  # free the files now, so that unwritten data never reaches the disk while the database writes
        return shared

    def _clear(self) -> None:
        while not self._answers.empty():
            self._answers.get()
        if self._process.gone:  # keep the last answer, so that the next account sees the end of the process
            self._answers.put(GONE)
        self._pages.clear()
        self._rows.clear()

    def _ask(self, extent: Extent) -> None:
        self._asked += 1
        self._process.ask(b"%d %d %d\n" % (self._number, *extent))

    def _next(self) -> bytes:
        """Next result of the process. Raises the error with which the process answered, or `lost`."""
        answer = self._next_answer()
        if answer == GONE:
            raise self._process.lost()
        if answer.startswith(DISK):
            raise no_room(msgspec.json.decode(answer.removeprefix(DISK), type=str))
        if answer.startswith(FAILED):
            raise RuntimeError(
                f"in the transform process: {msgspec.json.decode(answer.removeprefix(FAILED), type=str)}"
            )
        at, length = map(int, answer.split())
        return self._rows.part((at, length))

    def _next_answer(self) -> bytes:
        while True:
            self.check_cancelled()
            with contextlib.suppress(Empty):
                return self._answers.get(timeout=STEP)

    def close(self) -> None:
        """Close the files."""
        self._pages.close()
        self._rows.close()


def _pipe(pipe: Any) -> Any:
    assert pipe is not None
    return pipe
