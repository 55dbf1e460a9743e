"""A process beside this one transforms the pages of a large account, so that both processors have something to do.

Pages and rows go through two temporary files that both processes have open; the pipes carry only where they are. What
they may hold at a time is bounded, so neither process waits for the other to read.
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
from etl.offload.transformers import Transformer, Transformers, decode_rows, decode_shared, inline
from etl.offload.worker import DISK, FAILED
from etl.transform.decode import Record
from etl.transform.page_rows import PageRows, SharedRows

WORTH_IT = 20_000
"""Numbers from which on a process is started: it takes as long as transforming some thousand."""
AHEAD = 64
"""Pages that are begun before an answer is waited for: their lines fit into the smallest pipe."""
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
"""What the interpreter may need of our environment; settings and passwords stay here."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from etl.offload.worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)


def transformers(worth_it: int = WORTH_IT) -> Transformers:
    """A process for one account at a time, of `worth_it` numbers or more; with one processor only, for none."""
    turn = threading.Lock()

    @contextlib.contextmanager
    def choose(numbers: int) -> Iterator[Transformer]:
        with contextlib.ExitStack() as stack:
            helped = numbers >= worth_it and _processors() > 1 and turn.acquire(blocking=False)
            if helped:
                stack.callback(turn.release)
            started = _started() if helped else None
            yield stack.enter_context(inline(numbers) if started is None else contextlib.closing(started))

    return choose


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _started() -> _Beside | None:
    """A process, or None where the system lets us have none."""
    try:
        return _Beside()
    except OSError:
        return None


class _Beside:
    """The process, from this side."""

    def __init__(self) -> None:
        self._pages, self._rows = Spool(), Spool()
        self._begun, self._answers = 0, deque[bytes]()
        shared = [self._pages.descriptor, self._rows.descriptor]
        here = [os.path.realpath(entry) for entry in sys.path]
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - by our own words  # nosec B603
                [sys.executable, "-I", "-c", _PROGRAM, json.dumps(here), *map(str, shared)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what it has to say comes by its answers
                pass_fds=shared,
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                process_group=0,  # what a terminal sends to the group is for this process to answer
            )
        except BaseException:
            self._close_files()
            raise

    def begin(self, records: Sequence[Record]) -> None:
        at, length = self._pages.add(b"[" + b",".join(records) + b"]")
        self._begun += 1
        with contextlib.suppress(BrokenPipeError):  # why it has ended is among its answers
            self._pipe(self._process.stdin).write(b"%d %d\n" % (at, length))
            self._pipe(self._process.stdin).flush()
        if self._begun - len(self._answers) > AHEAD:
            self._answers.append(self._heard())

    def pages(self) -> Iterator[PageRows]:
        with contextlib.suppress(BrokenPipeError):
            self._pipe(self._process.stdin).close()
        for _ in range(self._begun):
            yield decode_rows(self._next())

    def shared(self) -> SharedRows:
        return decode_shared(self._next())

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                self._pipe(pipe).close()
        self._process.wait()
        self._close_files()

    def _heard(self) -> bytes:
        """The next line that the process has to say; empty when it has ended."""
        line: bytes = self._pipe(self._process.stdout).readline()
        return line

    def _next(self) -> bytes:
        """The next part of what it made; raises what it failed with."""
        line = self._answers.popleft() if self._answers else self._heard()
        if line.startswith(DISK):
            raise no_room(msgspec.json.decode(line.removeprefix(DISK), type=str))
        if line.startswith(FAILED):
            raise RuntimeError(f"in the process beside: {msgspec.json.decode(line.removeprefix(FAILED), type=str)}")
        if not line.endswith(b"\n"):
            raise self._lost()
        return self._rows.part(_place(line))

    def _lost(self) -> LocalTrouble:
        code = self._process.wait()
        why = f"was killed by signal {-code}" if code < 0 else "ended before its work was done"
        return LocalTrouble(
            f"the process that transforms records beside this one {why}",
            remedy="Nothing was published for the account; see that there is memory for both, and run again",
        )

    def _pipe(self, pipe: Any) -> Any:
        assert pipe is not None
        return pipe

    def _close_files(self) -> None:
        self._pages.close()
        self._rows.close()


def _place(line: bytes) -> Place:
    at, length = map(int, line.split())
    return at, length
