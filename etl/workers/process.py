"""The process that transforms beside this one, from this side: at each of its desks it works on one account at a time.

Pages and rows go through two temporary files of the desk, which both processes have open; the pipes carry only where
they are. A thread hears all answers, so the process never waits for anybody to listen.
"""

from __future__ import annotations

import contextlib
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
"""Accounts that are transformed at a time: as many as are synced side by side unless more are asked for."""
STEP = 0.25
"""Seconds after which whoever waits for an answer looks whether to go on waiting."""
GONE = b""
"""What a desk hears last of a process that has ended."""
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
"""What the interpreter may need of our environment; settings and passwords stay here."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from etl.workers.worker import main; main(json.loads(sys.argv[2]))"
)


class TransformProcess:
    """Starts it; raises `OSError` where the system lets us have none. Threads share it, each at a desk of its own."""

    def __init__(self) -> None:
        with contextlib.ExitStack() as cleanup:
            self._slots: list[WorkerSlot] = []
            for number in range(SLOTS):
                self._slots.append(WorkerSlot(self, number))
                cleanup.callback(self._slots[-1].close)
            files = [slot.descriptors for slot in self._slots]
            here = [os.path.realpath(entry) for entry in sys.path]
            self._child: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - by our own words  # nosec B603
                [sys.executable, "-I", "-c", _PROGRAM, json.dumps(here), json.dumps(files)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what it has to say comes by its answers
                pass_fds=[descriptor for pair in files for descriptor in pair],
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                process_group=0,  # what a terminal sends to the group is for this process to answer
            )
            cleanup.callback(self._end)
            self._asking = threading.Lock()
            self.gone = False
            self._listener = threading.Thread(target=self._listen, name="process beside", daemon=True)
            try:
                self._listener.start()
            except RuntimeError as exc:  # no more threads
                _there(self._child.stdout).close()
                raise OSError(None, str(exc)) from exc
            cleanup.pop_all()

    def take_slot(self) -> WorkerSlot | None:
        """A desk for an account, until it is left; None when none is free."""
        return None if self.gone else next((slot for slot in self._slots if slot.take()), None)

    def close(self) -> None:
        """End it."""
        self._end()
        self._listener.join()
        for slot in self._slots:
            slot.close()

    def _end(self) -> None:
        self._child.kill()
        with contextlib.suppress(OSError):
            _there(self._child.stdin).close()
        self._child.wait()

    # -- lines to it and from it

    def ask(self, line: bytes) -> None:
        """Send a request."""
        with self._asking, contextlib.suppress(BrokenPipeError):  # that it has ended is noticed where it should answer
            _there(self._child.stdin).write(line)
            _there(self._child.stdin).flush()

    def _listen(self) -> None:
        try:
            with _there(self._child.stdout) as answers:
                for line in answers:
                    if line.endswith(b"\n"):  # the last one may have been cut off
                        number, _, answer = line.partition(b" ")
                        self._slots[int(number)].hear(answer)
        except (ValueError, IndexError):
            pass  # what it says is none of our answers
        finally:
            self._child.kill()
            self.gone = True
            for slot in self._slots:
                slot.hear(GONE)

    def lost(self) -> LocalTrouble:
        """What to say when it ended by itself."""
        code = self._child.wait()
        why = f"was killed by signal {-code}" if code < 0 else "ended before its work was done"
        return LocalTrouble(
            f"the process that transforms records beside this one {why}",
            remedy="Nothing was published for the account; see that there is memory for both, and run again",
        )


class WorkerSlot:
    """A `Transformer` for one account after the other."""

    def __init__(self, process: TransformProcess, number: int) -> None:
        self._process, self._number = process, number
        self._pages, self._rows = Spool(), Spool()
        self._turn = threading.Lock()
        self._occupied = False
        self._begun = self._asked = self._heard = 0
        self._answers = SimpleQueue[bytes]()
        self.check_cancelled: CheckCancelled = never_cancelled
        """Is called again and again while an answer is waited for, and may raise."""

    @property
    def descriptors(self) -> tuple[int, int]:
        """The open files for pages and rows."""
        return self._pages.descriptor, self._rows.descriptor

    def take(self) -> bool:
        """Occupy it, if nobody is at it and nothing is on its way to somebody who left early."""
        with self._turn:
            if self._occupied or self._heard < self._asked:
                return False
            self._clear()
            self._occupied, self._begun = True, 0
            return True

    def leave(self) -> None:
        """Make room for the next account; what is still on its way to this one is thrown away as it arrives."""
        with self._turn:
            self._occupied = False
            self._tidy()

    def hear(self, answer: bytes) -> None:
        """Take an answer."""
        with self._turn:
            self._heard += 1
            self._answers.put(answer)
            self._tidy()

    def _tidy(self) -> None:
        if not self._occupied and self._heard >= self._asked:
            with contextlib.suppress(LocalTrouble):  # then it is tried again when it is taken
                self._clear()

    def begin(self, records: Sequence[Record]) -> None:
        """One more page is there."""
        self._begun += 1
        self._ask(self._pages.add(joined(records)))

    def pages(self) -> Iterator[PageRows]:
        """The rows of each page, in their order, once."""
        self._ask(END)
        for _ in range(self._begun):
            yield decode_rows(self._next())

    def shared(self) -> SharedRows:
        """What all pages together came to; to be asked for after the last."""
        shared = decode_shared(self._next())
        self._clear()  # what was never written to the disk need not be, while the database writes
        return shared

    def _clear(self) -> None:
        while not self._answers.empty():
            self._answers.get()
        if self._process.gone:  # then that must not be forgotten
            self._answers.put(GONE)
        self._pages.clear()
        self._rows.clear()

    def _ask(self, extent: Extent) -> None:
        self._asked += 1
        self._process.ask(b"%d %d %d\n" % (self._number, *extent))

    def _next(self) -> bytes:
        """The next part of what was made here; raises what that failed with."""
        answer = self._waited_for()
        if answer == GONE:
            raise self._process.lost()
        if answer.startswith(DISK):
            raise no_room(msgspec.json.decode(answer.removeprefix(DISK), type=str))
        if answer.startswith(FAILED):
            raise RuntimeError(f"in the process beside: {msgspec.json.decode(answer.removeprefix(FAILED), type=str)}")
        at, length = map(int, answer.split())
        return self._rows.part((at, length))

    def _waited_for(self) -> bytes:
        while True:
            self.check_cancelled()
            with contextlib.suppress(Empty):
                return self._answers.get(timeout=STEP)

    def close(self) -> None:
        """Close the files."""
        self._pages.close()
        self._rows.close()


def _there(pipe: Any) -> Any:
    assert pipe is not None
    return pipe
