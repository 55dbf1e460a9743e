"""The process that transforms beside this one, from this side: at each of its desks it works on one account at a time.

Pages and rows go through two temporary files of the desk, which both processes have open; the pipes carry only where
they are. What the pipes may hold at a time is bounded, so neither process waits for the other to read.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess  # nosec B404
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from etl.errors import LocalTrouble
from etl.offload.spool import Place, Spool, no_room
from etl.offload.transformers import decode_rows, decode_shared
from etl.offload.worker import DISK, END, FAILED
from etl.transform.decode import Record
from etl.transform.page_rows import PageRows, SharedRows

DESKS = 4
"""Accounts that are transformed at a time: as many as are synced side by side unless more are asked for."""
AHEAD = 64
"""Pages that are begun before an answer is waited for: their lines fit into the smallest pipe."""
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
"""What the interpreter may need of our environment; settings and passwords stay here."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from etl.offload.worker import main; main(json.loads(sys.argv[2]))"
)


class Process:
    """Starts it; raises `OSError` where the system lets us have none. Threads share it, each at a desk of its own."""

    def __init__(self) -> None:
        with contextlib.ExitStack() as cleanup:
            self._desks: list[Desk] = []
            for number in range(DESKS):
                self._desks.append(Desk(self, number))
                cleanup.callback(self._desks[-1].discard)
            files = [desk.descriptors for desk in self._desks]
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
            cleanup.pop_all()
        self._asking, self._hearing = threading.Lock(), threading.Lock()
        self._gone = False

    def free_desk(self) -> Desk | None:
        """A desk for an account, until it is closed; None when none is free."""
        if self._gone:
            return None
        free = next((desk for desk in self._desks if desk.free), None)
        return free and free.taken()

    def close(self) -> None:
        """End it."""
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                _there(pipe).close()
        self._child.wait()
        for desk in self._desks:
            desk.discard()

    # -- lines to it and from it

    def ask(self, line: bytes) -> None:
        """Send a request."""
        with self._asking, contextlib.suppress(BrokenPipeError):  # that it has ended is noticed where it should answer
            _there(self._child.stdin).write(line)
            _there(self._child.stdin).flush()
        if self._ahead():
            with self._hearing:
                if self._ahead():
                    self._hear()

    def _ahead(self) -> bool:
        return sum(desk.outstanding for desk in self._desks) > AHEAD

    def wait_for(self, desk: Desk) -> None:
        """Hear until a desk has an answer, or the process has ended."""
        while not (desk.answers or self._gone):
            with self._hearing:
                if not desk.answers:  # another thread may have heard it meanwhile
                    self._hear()

    def _hear(self) -> None:
        line: bytes = b"" if self._gone else _there(self._child.stdout).readline()
        if not line.endswith(b"\n"):
            self._gone = True
            return
        number, _, answer = line.partition(b" ")
        self._desks[int(number)].hear(answer)

    def lost(self) -> LocalTrouble:
        """What to say when it ended by itself."""
        code = self._child.wait()
        why = f"was killed by signal {-code}" if code < 0 else "ended before its work was done"
        return LocalTrouble(
            f"the process that transforms records beside this one {why}",
            remedy="Nothing was published for the account; see that there is memory for both, and run again",
        )


class Desk:
    """A `Transformer` for one account after the other. Whoever is at it asks; any thread may hear its answers."""

    def __init__(self, process: Process, number: int) -> None:
        self._process, self._number = process, number
        self._pages, self._rows = Spool(), Spool()
        self._occupied = False
        self._begun = self._asked = self._heard = 0
        self.answers = deque[bytes]()

    @property
    def descriptors(self) -> tuple[int, int]:
        """The open files for pages and rows."""
        return self._pages.descriptor, self._rows.descriptor

    @property
    def outstanding(self) -> int:
        """How many requests have no answer yet."""
        return self._asked - self._heard

    @property
    def free(self) -> bool:
        """Whether nobody is at it, and nothing is on its way to somebody who left early."""
        return not self._occupied and not self.outstanding

    def taken(self) -> Desk:
        """The desk, as if new."""
        self._occupied, self._begun = True, 0
        self._clear()
        return self

    def begin(self, records: Sequence[Record]) -> None:
        """One more page is there."""
        self._begun += 1
        self._ask(self._pages.add(b"[" + b",".join(records) + b"]"))

    def pages(self) -> Iterator[PageRows]:
        """The rows of each page, in their order, once."""
        self._ask(END)
        for _ in range(self._begun):
            yield decode_rows(self._next())

    def shared(self) -> SharedRows:
        """What all pages together came to; to be asked for after the last."""
        return decode_shared(self._next())

    def close(self) -> None:
        """Leave it to the next account."""
        self._occupied = False
        if self.free:
            self._clear()

    def _clear(self) -> None:
        self.answers.clear()
        self._pages.clear()
        self._rows.clear()

    def _ask(self, place: Place) -> None:
        self._asked += 1
        self._process.ask(b"%d %d %d\n" % (self._number, *place))

    def hear(self, answer: bytes) -> None:
        """Take an answer."""
        self.answers.append(answer)
        self._heard += 1

    def _next(self) -> bytes:
        """The next part of what was made here; raises what that failed with."""
        self._process.wait_for(self)
        if not self.answers:
            raise self._process.lost()
        answer = self.answers.popleft()
        if answer.startswith(DISK):
            raise no_room(msgspec.json.decode(answer.removeprefix(DISK), type=str))
        if answer.startswith(FAILED):
            raise RuntimeError(f"in the process beside: {msgspec.json.decode(answer.removeprefix(FAILED), type=str)}")
        at, length = map(int, answer.split())
        return self._rows.part((at, length))

    def discard(self) -> None:
        """Close the files."""
        self._pages.close()
        self._rows.close()


def _there(pipe: Any) -> Any:
    assert pipe is not None
    return pipe
