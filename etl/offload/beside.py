"""A process beside this one transforms the pages of a large account, so that both processors have something to do.

Pages and rows go through two temporary files that both processes have open; the pipes carry only where they are, so
neither ever waits for the other to read.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess  # nosec B404
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from etl.errors import LocalTrouble
from etl.offload.spool import Place, Spool
from etl.offload.transformers import Transformer, Transformers, decode_rows, decode_shared, inline
from etl.offload.worker import FAILED
from etl.transform.page_rows import PageRows, Record, SharedRows

WORTH_IT = 20_000
"""Numbers from which on a process is started: it takes as long as transforming some thousand."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from etl.offload.worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)


def transformers(worth_it: int = WORTH_IT) -> Transformers:
    """One process at a time, for accounts of `worth_it` numbers; for others, or with one processor only, none."""
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
        self._pages, self._rows, self._begun = Spool(), Spool(), 0
        shared = [self._pages.descriptor, self._rows.descriptor]
        here = [os.path.realpath(entry) for entry in sys.path]
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - by our own words  # nosec B603
                [sys.executable, "-I", "-c", _PROGRAM, json.dumps(here), *map(str, shared)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=shared,
                env={name: value for name, value in os.environ.items() if not name.startswith("VNSYNC_")},
                process_group=0,  # what a terminal sends to the group is for this process to answer
            )
        except BaseException:
            self._close_files()
            raise

    def begin(self, records: Sequence[Record]) -> None:
        at, length = self._pages.add(b"[" + b",".join(records) + b"]")
        self._begun += 1
        with self._ended_early():
            self._pipe(self._process.stdin).write(b"%d %d\n" % (at, length))
            self._pipe(self._process.stdin).flush()

    def pages(self) -> Iterator[PageRows]:
        with self._ended_early():
            self._pipe(self._process.stdin).close()
        for _ in range(self._begun):
            yield decode_rows(self._answer())

    def shared(self) -> SharedRows:
        return decode_shared(self._answer())

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                self._pipe(pipe).close()
        self._process.wait()
        self._close_files()

    def _answer(self) -> bytes:
        line = self._pipe(self._process.stdout).readline()
        if not line.endswith(b"\n"):
            raise self._lost()
        answer = self._rows.part(_place(line.removeprefix(FAILED)))
        if line.startswith(FAILED):
            raise RuntimeError(f"in the process beside: {answer.decode('utf-8', 'replace')}")
        return answer

    @contextlib.contextmanager
    def _ended_early(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise self._lost() from None

    def _lost(self) -> LocalTrouble:
        code = self._process.wait()
        why = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
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
